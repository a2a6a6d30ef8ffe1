"""Notebook 14, the same order as a Step Functions state machine: its steps, resources, evidence and costs."""
