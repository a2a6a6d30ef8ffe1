"""The embedded AWS: starts MiniStack on this machine, bridges what it lacks, deploys stage `local` and stops cleanly.

`python -m local` is `npm start`. For tests and notebooks, `local.running.stack` is the same as a context manager.
"""
