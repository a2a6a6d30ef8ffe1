"""The checks in their order, each with its result, and the clean-up of everything that they made."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from operations.errors import OperatorError
from operations.smoke import customer_story, operator_story
from operations.smoke.visit import CheckFailed, NotTried, Visit

Check = Callable[[Visit], str]


class Seen(NamedTuple):
    """A check and its result."""

    title: str
    result: Literal["passed", "failed", "not tried"]
    text: str
    seconds: float


CHECKS: Sequence[tuple[str, Check]] = (
    ("the catalogue is open to everybody", customer_story.catalogue),
    ("nothing else is", customer_story.no_token),
    ("a customer signs up and in", customer_story.sign_up),
    ("an order is placed once, however often it is sent", customer_story.place),
    ("an approved card ends in a fulfilled order", customer_story.approved),
    ("a declined card ends the order", customer_story.declined),
    ("the customer is notified of both", customer_story.notified),
    ("the audit trail is complete, cause by cause", customer_story.trails),
    ("a customer cancels an order", customer_story.cancelled),
    ("nobody sees somebody else's order", customer_story.own_orders_only),
    ("a forged event changes nothing and is kept", operator_story.forged_event),
    ("an outage is healed by a redrive", operator_story.outage),
    ("an order that is cancelled before the charge is never charged", operator_story.cancelled_before_the_charge),
    ("an order that is cancelled after the charge is refunded", operator_story.cancelled_after_the_charge),
    ("alarms", operator_story.alarms),
    ("rules", operator_story.rules),
    ("subscriptions", operator_story.subscriptions),
    ("business metrics", operator_story.metrics),
)


def story(visit: Visit) -> Iterator[Seen]:
    """Run each check. A failed one holds up only those that need its result."""
    for title, check in CHECKS:
        yield _made(title, check, visit)


def _made(title: str, check: Check, visit: Visit) -> Seen:
    started = time.monotonic()
    try:
        text = check(visit)
    except NotTried as reason:
        return Seen(title, "not tried", str(reason), time.monotonic() - started)
    except (CheckFailed, OperatorError, ClientError, BotoCoreError, ResponseParserError, OSError) as error:
        return Seen(title, "failed", str(error), time.monotonic() - started)
    return Seen(title, "passed", text, time.monotonic() - started)


def clean_up(visit: Visit) -> Seen:
    """Delete the accounts. Failures are reported, and the others are deleted all the same."""
    started, cognito, failures = time.monotonic(), visit.stack.client("cognito-idp"), []
    for email in visit.accounts:
        try:
            cognito.admin_delete_user(UserPoolId=visit.stack.outputs["UserPoolId"], Username=email)
        except (ClientError, BotoCoreError, OperatorError) as error:
            if not _was_never_made(error):
                failures.append(f"{email} is still there: {error}")
    text = f"{len(visit.accounts)} accounts deleted; orders and audit trails stay, as nothing deletes an order"
    took = time.monotonic() - started
    return Seen("what it made is removed", "failed" if failures else "passed", "; ".join(failures) or text, took)


def _was_never_made(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "UserNotFoundException"
