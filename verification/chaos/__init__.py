"""Chaos on the deployed local stack: `npm run chaos -- --orders N` places orders while faults strike everywhere.

load         the customers: what they order, and how they retry
faults       which calls of AWS fail, how and how often, drawn from the seed
proxy        a process between the functions and AWS: microburst, and the killer of function processes
fault_proxy  starts that process, and its faults
call_log     what the proxy did to which call
recovery     runs the reconciler, redrives dead letters, and tells when everything has ended
evidence     what is left in the deployed stack, for verification/promises.py
run          one run, from the first order to the verdict
report       the figures, and the history of each order that broke a promise
"""
