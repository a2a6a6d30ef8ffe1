"""The embedded AWS: how it starts and stops, what is bridged, how it differs from AWS, and what npm start shows."""
