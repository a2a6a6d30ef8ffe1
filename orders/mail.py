"""The post: e-mail through SES, text messages through SNS."""

from typing import Any

from botocore.exceptions import ClientError

from orders.errors import MessageRejected, PostUnavailable
from orders.letter import Letter
from orders.model import Channel, Order

_PERMANENT = {
    "MessageRejected",  # SES: an unverified address in the sandbox, or content that it refuses
    "BadRequestException",  # SES: not an e-mail address
    "InvalidParameter",  # SNS: not a phone number
    "InvalidParameterException",
    "OptedOut",  # SNS: the owner of the number does not want our messages
    "OptedOutException",
}
"""Error codes that no retry will cure. Throttling, quotas and outages are not among them."""


class Post:
    """Its clients must not retry by themselves: a lost answer may mean a sent message."""

    def __init__(self, ses: Any, sns: Any, sender: str) -> None:
        self._ses = ses
        self._sns = sns
        self._sender = sender

    def send(self, channel: Channel, order: Order, letter: Letter) -> str:
        """Send and return the provider's message id.

        Raises MessageRejected where no retry can help, PostUnavailable where the provider will not take it now.
        Both say the code only, and hide what caused them: AWS's message may name the address, and errors are logged.
        """
        try:
            return self._email(order, letter) if channel == "email" else self._sms(order, letter)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _PERMANENT:
                raise MessageRejected(code) from None
            raise PostUnavailable(f"the {channel} was not taken: {code}") from None

    def _email(self, order: Order, letter: Letter) -> str:
        if order.email is None:
            raise MessageRejected("the order has no e-mail address")
        answer = self._ses.send_email(
            FromEmailAddress=self._sender,
            Destination={"ToAddresses": [order.email]},
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
        answer = self._sns.publish(PhoneNumber=order.phone, Message=letter.sms)
        return str(answer["MessageId"])
