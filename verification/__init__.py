"""Verification of the system's promises: simulation, chaos, contract, bench and second opinion.

This folder's own modules are shared by all of them: the promises, the evidence for them, and DynamoDB's expressions and
tables. Everything here may import the product; the product imports nothing from here.
"""
