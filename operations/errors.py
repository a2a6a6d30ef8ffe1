"""The errors of the operator's commands.

OperatorError        the message is one line: what is wrong, and what to do
├─ StackUnavailable  operations.stack: there is no such stack, or it can't be read
├─ UnknownOrder      operations.repetition: the audit log knows nothing of the order
├─ AmbiguousOrder    operations.repetition: several orders have this number
├─ EventRefused      operations.repetition: EventBridge did not accept the event
├─ Undelivered       operations.dead_letters: a redrive left some dead letters in their queue
├─ Undeleted         operations.dead_letters: a purge left some dead letters in their queue
├─ OrdersUnread      operations.healing: DynamoDB left out some of the orders
└─ ReplayFailed      operations.replay: some events were not replayed
"""


class OperatorError(Exception):
    """The command can't do its work; the message is one line that says why, and what to do."""
