"""Notebook 14: the same order as a Step Functions state machine. Its steps, what they need, its evidence, its costs."""
