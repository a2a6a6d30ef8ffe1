"""The business of order processing: what an order is, what can happen to it, and where it is kept.

Start with `choreography`: every step of an order's life, top to bottom. This package knows nothing of Lambda and
imports nothing from `handlers`.
"""
