"""The targets of events: functions, topics and queues to which EventBridge, or an operator in its place, delivers."""

import re

from operations.stack import Stack

_SERVICE_OF = re.compile(r"arn:[^:]*:([^:]*):")


class Targets:
    """Delivers payloads to targets. Threads may share it: its clients are made here, once."""

    def __init__(self, stack: Stack, *, connections: int = 1) -> None:
        self._lambda, self._sns, self._sqs = (
            stack.client(service, connections=connections) for service in ("lambda", "sns", "sqs")
        )

    def deliver(self, target: str, payload: str) -> None:
        """Deliver a payload to a function, topic or queue, by its ARN (or a queue's URL), as EventBridge would.

        Raises ValueError for any other target.
        """
        match _SERVICE_OF.match(target):
            case None if target.startswith(("http://", "https://")):
                self._sqs.send_message(QueueUrl=target, MessageBody=payload)
            case found if found and found[1] == "lambda":
                self._lambda.invoke(FunctionName=target, InvocationType="Event", Payload=payload)
            case found if found and found[1] == "sns":
                self._sns.publish(TopicArn=target, Message=payload)
            case found if found and found[1] == "sqs":
                queue_url = self._sqs.get_queue_url(QueueName=target.rpartition(":")[2])["QueueUrl"]
                self._sqs.send_message(QueueUrl=queue_url, MessageBody=payload)
            case _:
                raise ValueError(f"{target} is not a function, topic or queue")
