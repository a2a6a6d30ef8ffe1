"""`ports.Notifier` on AWS: e-mail through SES, text messages through SNS."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orders.aws.address import deliverable
from orders.errors import MessageRejected, NotifierUnavailable
from orders.message import Message
from orders.model import Channel, Order

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client
    from types_boto3_sns import SNSClient

_PERMANENT = {
    "MessageRejected",  # SES: an unverified recipient in the sandbox, or content that it refuses
    "BadRequestException",  # SES: not an e-mail address
    "InvalidParameter",  # SNS: not a phone number
    "ParameterValueInvalid",
    "ValidationException",
}
"""Error codes that no retry cures. Throttling, quotas and outages are not among them.

SNS refuses some numbers only after Publish has succeeded: one that opted out, one that is not verified in its sandbox,
or any number when the account has no origination identity. The message then has an id and is not delivered.
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""


class SesSnsNotifier:
    """Its clients must not retry by themselves: a lost response may mean that the message was sent."""

    def __init__(
        self, ses: "SESV2Client", make_sns: Callable[[], "SNSClient"], sender: str, *, sms_prefixes: tuple[str, ...]
    ) -> None:
        """`sms_prefixes` are the beginnings of the phone numbers that get text messages; without any, none are sent.

        The client for text messages is made for the first one: a cold start that sends none does not wait for it.
        """
        self._ses = ses
        self._make_sns = make_sns
        self._sns: SNSClient | None = None
        self._sender = sender
        self._sms_prefixes = sms_prefixes

    def can_text(self, phone: str | None) -> bool:
        return phone is not None and phone.startswith(self._sms_prefixes)

    def send(self, channel: Channel, order: Order, message: Message) -> str:
        """The errors give AWS's error code only, and no cause: AWS's own message may quote the customer's address."""
        try:
            return self._email(order, message) if channel == "email" else self._sms(order, message)
        except ClientError as error:
            code, reason = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if code in _PERMANENT and self._names_our_sender(reason):
                raise NotifierUnavailable(f"the {channel} was refused: SES has not verified our own sender") from None
            if code in _PERMANENT:
                raise MessageRejected(code) from None
            raise NotifierUnavailable(f"the {channel} was refused for now: {code}") from None
        except BotoCoreError as error:  # a time-out, or a connection that broke: nobody knows whether it was sent
            raise NotifierUnavailable(f"the {channel} got no response: {type(error).__name__}") from None

    def reconnect(self) -> None:
        """Close the connections of earlier invocations: they may have died while Lambda had frozen the process.

        A message that is lost on a dead connection looks the same as one whose response is lost.
        """
        self._ses.close()
        if self._sns:
            self._sns.close()

    def _names_our_sender(self, reason: str) -> bool:
        """Whether SES says that our own address, or its domain, is not verified: then the recipient's may be fine.

        "Email address is not verified. The following identities failed the check in region US-EAST-1: …, …"
        """
        identities = re.split(r"[\s,]+", reason.lower())
        sender = self._sender.lower()
        return sender in identities or sender.partition("@")[2] in identities

    def _email(self, order: Order, message: Message) -> str:
        if order.email is None:
            raise MessageRejected("the order has no e-mail address")
        response = self._ses.send_email(
            FromEmailAddress=self._sender,
            Destination={"ToAddresses": [deliverable(order.email)]},
            Content={
                "Simple": {
                    "Subject": {"Data": message.subject, "Charset": "UTF-8"},
                    "Body": {
                        "Text": {"Data": message.text, "Charset": "UTF-8"},
                        "Html": {"Data": message.html, "Charset": "UTF-8"},
                    },
                }
            },
        )
        return str(response["MessageId"])

    def _sms(self, order: Order, message: Message) -> str:
        if order.phone is None:
            raise MessageRejected("the order has no phone number")
        self._sns = self._sns or self._make_sns()
        response = self._sns.publish(
            PhoneNumber=order.phone,
            Message=message.sms,
            # A message that must arrive, not an advertisement: carriers and SNS's limits treat the two differently.
            MessageAttributes={"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
        )
        return str(response["MessageId"])
