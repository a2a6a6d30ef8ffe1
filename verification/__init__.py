"""What holds the system to its promises: simulation, chaos, contract, bench and second opinion, side by side.

This folder's own modules are their ground floor: the promises, the evidence for them, and DynamoDB's expressions and
tables. Everything here may import the product; the product imports nothing from here.
"""
