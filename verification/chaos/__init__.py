"""Chaos on the deployed local stack: `npm run chaos -- --orders N` places orders while faults strike everywhere.

load         the customers: what they order, and how they retry
faults       which calls of AWS fail, how and how often, drawn from the seed
proxy        a process between the functions and AWS: microburst, and the killer of function processes
fault_proxy  starts that process, and its faults
call_log     which call met which fault
recovery     runs the reconciler, redrives dead letters, and knows when everything has ended
evidence     the contents of the deployed stack afterwards, for verification/promises.py
run          one run, from the first order to the verdict
report       the figures, and the history of each order that broke a promise
"""
