"""The operator's view of the running local stack: what functions failed on, the dead letters, and what became of them.

It is made of what an operator has on AWS as well: the functions' log groups, the dead-letter queues, and the tables.
The storefront's page asks for it (`GET /break-it/rescue`), and the terminal of `npm start` shows it.

    logs        what the functions have logged since the last look
    queues      the one reader of the dead-letter queues in this process
    sightings   what was seen, by order: failed attempts and dead letters
    view        an order and its audit trail, read from the tables
    watch       all of these together, looked at about once a second while somebody watches
"""
