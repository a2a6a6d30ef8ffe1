"""The embedded AWS as a process on loopback, with bridges over its gaps."""
