"""The post: e-mail through SES, text messages through SNS."""

import re
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from orders.aws.address import deliverable
from orders.errors import MessageRejected, PostUnavailable
from orders.letter import Letter
from orders.model import Channel, Order

_PERMANENT = {
    "MessageRejected",  # SES: an unverified recipient in the sandbox, or content that it refuses
    "BadRequestException",  # SES: not an e-mail address
    "InvalidParameter",  # SNS: not a phone number
    "ParameterValueInvalid",
    "ValidationException",
}
"""Error codes that no retry will cure. Throttling, quotas and outages are not among them.

SNS refuses a number that opted out, is not verified in its sandbox, or for which the account has no origination
identity only after Publish has succeeded: the message then has an id and is not delivered.
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""


class Post:
    """Its clients must not retry by themselves: a lost answer may mean a sent message."""

    def __init__(self, ses: Any, sns: Any, sender: str, *, sms_prefixes: tuple[str, ...]) -> None:
        """`sms_prefixes`: the beginnings of the phone numbers that get text messages; none for no text messages."""
        self._ses = ses
        self._sns = sns
        self._sender = sender
        self._sms_prefixes = sms_prefixes

    def texts(self, phone: str | None) -> bool:
        """Whether text messages go to this number at all."""
        return phone is not None and phone.startswith(self._sms_prefixes)

    def send(self, channel: Channel, order: Order, letter: Letter) -> str:
        """Send and return the provider's message id.

        Raises MessageRejected where no retry can help, PostUnavailable where the provider will not take it now.
        Both say the code only, and hide what caused them: AWS's message may name the address, and errors are logged.
        """
        try:
            return self._email(order, letter) if channel == "email" else self._sms(order, letter)
        except ClientError as error:
            code, reason = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if code in _PERMANENT and self._names_our_sender(reason):
                raise PostUnavailable(f"the {channel} was not taken: SES has not verified our own sender") from None
            if code in _PERMANENT:
                raise MessageRejected(code) from None
            raise PostUnavailable(f"the {channel} was not taken: {code}") from None
        except BotoCoreError as error:  # a time-out, or a connection that broke: nobody knows whether it was sent
            raise PostUnavailable(f"the {channel} got no answer: {type(error).__name__}") from None

    def reconnect(self) -> None:
        """Forget the connections of earlier invocations: Lambda froze the process since, and they may be dead.

        A message that is lost on a dead connection looks just like one whose answer is lost.
        """
        self._ses.close()
        self._sns.close()

    def _names_our_sender(self, reason: str) -> bool:
        """Whether SES says that our own address, or its domain, is not verified: the customer's may be as good as any.

        "Email address is not verified. The following identities failed the check in region US-EAST-1: …, …"
        """
        identities = re.split(r"[\s,]+", reason.lower())
        sender = self._sender.lower()
        return sender in identities or sender.partition("@")[2] in identities

    def _email(self, order: Order, letter: Letter) -> str:
        if order.email is None:
            raise MessageRejected("the order has no e-mail address")
        answer = self._ses.send_email(
            FromEmailAddress=self._sender,
            Destination={"ToAddresses": [deliverable(order.email)]},
            Content={
                "Simple": {
                    "Subject": {"Data": letter.subject, "Charset": "UTF-8"},
                    "Body": {
                        "Text": {"Data": letter.text, "Charset": "UTF-8"},
                        "Html": {"Data": letter.html, "Charset": "UTF-8"},
                    },
                }
            },
        )
        return str(answer["MessageId"])

    def _sms(self, order: Order, letter: Letter) -> str:
        answer = self._sns.publish(
            PhoneNumber=order.phone,
            Message=letter.sms,
            # A message that must arrive, and not an advertisement: carriers treat it so, and SNS's limits differ.
            MessageAttributes={"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
        )
        return str(answer["MessageId"])
