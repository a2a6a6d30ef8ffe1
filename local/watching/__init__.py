"""The operator's view of the running local stack: failed attempts, dead letters, and whether they were redriven.

It uses only sources that an operator has on AWS as well: the functions' log groups, the dead-letter queues, the tables.
The storefront's page reads it (`GET /break-it/rescue`), and the terminal of `npm start` shows it.

    logs        the functions' log lines since the last poll
    queues      the one reader of the dead-letter queues in this process
    sightings   by order: failed attempts and dead letters
    view        an order and its audit trail, read from the tables
    watch       all of these together, polled about once a second while somebody watches
"""
