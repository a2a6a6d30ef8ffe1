"""Chaos on the deployed local stack: `npm run chaos -- --orders N` places orders while everything around them fails.

load        who orders what, and a client that repeats what got no answer
faults      which calls of AWS fail, how and how often, made of the seed
proxy       a process of its own between the functions and AWS: microburst, and the killer of workers
ledger      what the proxy did to which order
disruption  puts the proxy in between, and takes the payment gateway away for a while
caretaking  what heals: the reconciler's clock, and the operator's redrive; and when nothing moves any more
evidence    what is left when all is over, for the simulator's invariants
report      the figures, and the history of an order that broke a promise
"""
