"""Notebook 14: the same order as a Step Functions state machine. Its steps, their surroundings, its evidence, its lab."""
