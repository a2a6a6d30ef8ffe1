"""The embedded AWS: start MiniStack on this machine, bridge its gaps, deploy stage `local` and stop cleanly.

`python -m local` is `npm start`. For tests and notebooks, `local.running.stack` is the same as a context manager.
"""
