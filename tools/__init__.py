"""Builds, checks and describes the checkout: set-up, package, plugin, locks, and serverless.yml as data."""
