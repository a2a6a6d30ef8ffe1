"""Dead letters, whatever they are and however many: what is seen of them, what is delivered, and what is left."""

import json
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from operations import dead_letters as module
from operations.dead_letters import Undeleted, Undelivered, dead_letters, purge, redrive
from operations.stack import stack_name
from orders.aws import backoff
from tests.unit.dead_letter_queues import (
    DEAD,
    DEAD_NOTIFICATIONS,
    FUNCTION,
    GONE,
    NOTIFICATIONS,
    POISON,
    Queues,
    refusal,
)

STACK = stack_name("dev")


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Queues:
    queues = Queues()
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: queues.now))
    monkeypatch.setattr(backoff, "time", SimpleNamespace(sleep=lambda _: None))
    return queues


def put_each(queues: Queues, times: int) -> None:
    for _ in range(times):
        queues.put_failure(POISON)


def put_numbers(queues: Queues, count: int) -> list[str]:
    """Letters that can be told apart by their payload, which is the place of their id in the list."""
    return [queues.put_failure(number) for number in range(count)]


def numbers(queues: Queues) -> list[int]:
    """Of what was delivered."""
    return sorted(json.loads(payload) for _, payload in queues.delivered)


# --- what a dead letter may be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [[1, 2], "text", 7, 1.5, True, None, {}, {"detail": [1]}, {"detail": {"data": 1}}])
def test_a_payload_that_is_no_event_is_a_row_and_is_delivered_as_it_was(queues: Queues, payload: object) -> None:
    queues.put_failure(payload, reason="can't read it")

    [letter] = dead_letters(queues.stack)

    assert letter[2:5] == (payload if isinstance(payload, dict) else {}, FUNCTION, "can't read it")
    assert (letter.event_type, letter.order_id, letter.consumer) == ("-", "-", f"{STACK}-fulfillment")
    assert list(redrive(queues.stack)) == [letter]
    assert [(target, json.loads(sent)) for target, sent in queues.delivered] == [(FUNCTION, payload)]
    assert queues.left() == []


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ("no JSON", {}),
        ("", {}),
        ("[" * 100_000, {}),
        ("9" * 5_000, {}),
        ("null", {}),
        ({"requestPayload": [1, 2]}, {}),
        ({"requestPayload": 1, "requestContext": None}, {}),
        ({"requestPayload": 1, "requestContext": {"functionArn": {"no": "text"}}}, {}),
        ({"requestPayload": 1, "requestContext": {"functionArn": "https://elsewhere.example"}}, {}),
        (POISON, {"TARGET_ARN": {"DataType": "Binary", "BinaryValue": b"\x00"}}),
        (POISON, {"TARGET_ARN": {"DataType": "String", "StringValue": "https://elsewhere.example"}}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_message_that_does_not_say_where_it_failed_stays_visible_until_it_is_purged(
    queues: Queues, body: object, attributes: dict[str, Any]
) -> None:
    message = queues.put(body, **attributes)

    [letter] = dead_letters(queues.stack)
    with pytest.raises(Undelivered, match=r"^still a dead letter: .* for -: it does not say where it failed$"):
        list(redrive(queues.stack))

    assert (letter.target, letter.consumer, letter.reason) == ("", "-", "not known")
    assert (queues.delivered, queues.left()) == ([], [message])
    assert purge(queues.stack, [letter]) == 1
    assert queues.left() == []


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"errorMessage": "declined"}, "declined"),
        ({"errorMessage": {"no": "text"}}, '{"no": "text"}'),
        ("a text", "a text"),
        ([1], "[1]"),
        (0, "0"),
        (None, "RetriesExhausted"),
        ({"errorType": "Runtime.ExitError"}, "RetriesExhausted"),
        ({"errorMessage": ""}, "RetriesExhausted"),
    ],
)
def test_the_reason_is_what_the_response_says_else_lambdas_condition(
    queues: Queues, response: object, reason: str
) -> None:
    context = {"functionArn": FUNCTION, "condition": "RetriesExhausted"}
    queues.put({"requestContext": context, "requestPayload": POISON, "responsePayload": response})

    assert [letter.reason for letter in dead_letters(queues.stack)] == [reason]


def test_what_notification_gave_up_goes_to_its_queue_word_for_word(queues: Queues) -> None:
    for body in ('{"a":  1.50}', "no JSON"):
        queues.put(body, DEAD_NOTIFICATIONS)

    assert [letter.consumer for letter in redrive(queues.stack)] == ["notes", "notes"]
    assert sorted(queues.delivered) == [(NOTIFICATIONS, "no JSON"), (NOTIFICATIONS, '{"a":  1.50}')]


# --- a redrive --------------------------------------------------------------------------------------------------------


def test_a_dead_letter_for_a_function_that_is_gone_holds_up_no_other(queues: Queues) -> None:
    gone = queues.put_failure(POISON, GONE)
    for number in range(25):
        queues.put_failure(number)

    with pytest.raises(Undelivered, match=rf"^still a dead letter: Poison for {STACK}-gone: .*NotFound"):
        list(redrive(queues.stack))

    assert numbers(queues) == list(range(25))
    assert queues.left() == [gone]


def test_each_dead_letter_that_stays_is_reported(queues: Queues) -> None:
    messages = [queues.put_failure(POISON, GONE) for _ in range(3)]

    with pytest.raises(Undelivered, match="gone, and 2 more: ") as raised:
        list(redrive(queues.stack))

    assert [letter.message_id for letter, _ in raised.value.failures] == messages == queues.left()


@pytest.mark.parametrize(
    "error", [refusal("ExpiredTokenException"), EndpointConnectionError(endpoint_url="https://lambda.example")]
)
def test_an_error_that_concerns_every_dead_letter_ends_the_redrive_and_loses_none(queues: Queues, error: Any) -> None:
    messages = [queues.put_failure(POISON) for _ in range(12)]
    queues.refusals[FUNCTION] = error

    with pytest.raises(type(error)):
        list(redrive(queues.stack))

    assert queues.left() == messages


def test_a_redrive_that_nobody_listens_to_any_more_leaves_the_rest_visible(queues: Queues) -> None:
    messages = put_numbers(queues, 300)

    delivered = redrive(queues.stack)
    next(delivered)
    delivered.close()

    assert queues.left()
    assert sorted([*queues.left(), *(messages[number] for number in numbers(queues))]) == sorted(messages)


def test_a_redrive_that_is_stopped_has_deleted_what_it_delivered_and_leaves_the_rest_visible(queues: Queues) -> None:
    messages = put_numbers(queues, 300)

    def stop() -> None:
        if len(queues.delivered) == 100:
            raise KeyboardInterrupt

    queues.on_deliver = stop
    with pytest.raises(KeyboardInterrupt):
        list(redrive(queues.stack))

    assert 100 <= len(queues.delivered) < 300
    assert sorted([*queues.left(), *(messages[number] for number in numbers(queues))]) == sorted(messages)

    queues.on_deliver = lambda: None
    list(redrive(queues.stack))
    assert numbers(queues) == list(range(300)), "and once more is enough: each was delivered once"


def test_several_are_delivered_at_once(queues: Queues) -> None:
    put_numbers(queues, 20)
    both = Barrier(2)
    queues.on_deliver = lambda: both.wait(timeout=60)

    assert len(list(redrive(queues.stack))) == 20


def test_a_dead_letter_that_sqs_fails_to_delete_is_tried_again_beside_the_others(queues: Queues) -> None:
    messages = put_numbers(queues, 25)
    failures = dict.fromkeys(messages[3:7], 2)

    def fail(operation: str, message_id: str) -> str:
        failures[message_id] = failures.get(message_id, 0) - 1
        return "InternalError" if failures[message_id] >= 0 else ""

    queues.failing = fail

    assert len(list(redrive(queues.stack))) == 25
    assert (numbers(queues), queues.left()) == (list(range(25)), [])


def test_a_dead_letter_that_was_delivered_and_can_not_be_deleted_is_reported(queues: Queues) -> None:
    messages = put_numbers(queues, 25)
    queues.failing = lambda operation, message_id: (
        "InternalError" if operation == "delete" and message_id == messages[3] else ""
    )

    with pytest.raises(Undelivered, match=r"it was delivered, but can't be deleted: InternalError, not now$") as raised:
        list(redrive(queues.stack))

    assert [letter.message_id for letter, _ in raised.value.failures] == [messages[3]] == queues.left()


def test_a_dead_letter_that_could_not_be_deleted_and_comes_again_is_not_delivered_again(queues: Queues) -> None:
    messages = put_numbers(queues, 400)
    refused = [0]

    def fail(operation: str, message_id: str) -> str:
        refused[0] += message_id == messages[3] and operation == "delete"
        return "InternalError" if message_id == messages[3] and refused[0] <= backoff.ATTEMPTS else ""

    queues.failing = fail
    queues.receive_seconds = 10  # so that the hold ends before the queue does

    assert len(list(redrive(queues.stack))) == 400
    assert (numbers(queues), queues.left()) == (list(range(400)), [])


def test_a_dead_letter_that_somebody_else_received_after_the_time_out_is_theirs(queues: Queues) -> None:
    put_numbers(queues, 1)

    def be_slow() -> None:
        queues.now += 61
        assert queues.receive_message(QueueUrl=DEAD, VisibilityTimeout=600)["Messages"]

    queues.on_deliver = be_slow

    assert len(list(redrive(queues.stack))) == 1
    assert queues.left() == []
    queues.now += 601
    assert len(queues.left()) == 1, "they hold it, and it was not deleted"


def test_a_hold_that_sqs_does_not_end_ends_by_itself(queues: Queues) -> None:
    messages = put_numbers(queues, 25)
    queues.failing = lambda operation, message_id: "InternalError" if message_id == messages[3] else ""

    assert len(dead_letters(queues.stack)) == 25
    assert queues.left() == [each for each in messages if each != messages[3]]
    queues.now += 61
    assert queues.left() == messages


def test_what_fails_again_meanwhile_is_left_for_the_next_time(queues: Queues) -> None:
    """The gateway is still down: each delivery comes back, and a redrive has an end nevertheless."""
    for number in range(3):
        queues.put_failure(number)
    queues.on_receive = lambda: put_each(queues, len(queues.delivered))
    queues.receive_seconds = 0.1

    assert len(list(redrive(queues.stack))) == 3
    assert queues.left()


# --- however many -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receive_seconds", [0, 0.2, 1, 5])
def test_thousands_are_seen_once_each_though_the_listing_takes_longer_than_the_hold(
    queues: Queues, receive_seconds: float
) -> None:
    messages = put_numbers(queues, 5_000)
    queues.receive_seconds = receive_seconds

    letters = dead_letters(queues.stack)

    assert sorted(letter.message_id for letter in letters) == sorted(messages)
    assert queues.left() == messages, "and all are visible again"
    assert queues.receives < 2_000


def test_a_hold_that_hides_nothing_ends_as_well(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VISIBILITY_TIMEOUT_SECONDS", 0)
    messages = [queues.put_failure(number) for number in range(7)]

    assert sorted(letter.message_id for letter in dead_letters(queues.stack)) == messages


def test_a_queue_that_is_filled_for_ever_ends_as_well(queues: Queues) -> None:
    messages = [queues.put_failure(number) for number in range(7)]
    queues.receive_seconds = 0.1
    queues.on_receive = lambda: put_each(queues, 20)

    assert sorted(letter.message_id for letter in dead_letters(queues.stack)) == messages


@pytest.mark.parametrize("receive_seconds", [0, 0.2, 5])
def test_thousands_are_delivered_once_each_and_deleted_ten_at_a_time(queues: Queues, receive_seconds: float) -> None:
    put_numbers(queues, 5_000)
    queues.receive_seconds = receive_seconds

    assert len(list(redrive(queues.stack))) == 5_000

    assert (numbers(queues), queues.left()) == (list(range(5_000)), [])
    assert {operation for operation, _ in queues.batches} == {"delete"}
    assert len(queues.batches) < 600


@pytest.mark.parametrize("receive_seconds", [0, 0.2, 5])
def test_thousands_are_purged_and_what_came_since_they_were_shown_is_not(
    queues: Queues, receive_seconds: float
) -> None:
    put_numbers(queues, 5_000)
    letters = dead_letters(queues.stack)
    queues.now += 1
    late = queues.put_failure("late")
    queues.receive_seconds = receive_seconds
    heard: list[int] = []

    assert purge(queues.stack, letters, heard.append) == 5_000

    queues.now += 3600
    assert queues.left() == [late]
    assert heard == sorted(heard)
    assert heard[-1] == 5_000


def test_the_calls_of_a_listing_are_as_many_as_its_batches(queues: Queues) -> None:
    """A thread for each call, and no call for each dead letter: else ten thousand would take as long as before."""
    put_numbers(queues, 2_000)
    heard: list[int] = []

    dead_letters(queues.stack, heard.append)

    assert queues.receives < 250
    assert queues.batches == [("release", 10)] * 200
    assert (heard[0], heard[-1], len(heard) < 30) == (10, 2_000, True)


def test_a_message_that_came_again_is_deleted_by_its_last_receipt(queues: Queues) -> None:
    messages = [queues.put_failure(number) for number in range(30)]
    queues.receive_seconds = 50
    letters = dead_letters(queues.stack)

    assert purge(queues.stack, letters) == len(messages)
    assert queues.left() == []


def test_a_dead_letter_that_somebody_else_took_meanwhile_is_no_error(queues: Queues) -> None:
    messages = [queues.put_failure(number) for number in range(2)]

    with module._look(queues.stack) as look:
        assert len([letter for found in look.rounds() for letter in found]) == 2
        queues.delete_message_batch(QueueUrl=DEAD, Entries=[{"Id": "0", "ReceiptHandle": f"{messages[0]}#1"}])

    assert queues.left() == messages[1:]


# --- a purge ----------------------------------------------------------------------------------------------------------


def test_a_redrive_delivers_only_what_was_chosen(queues: Queues) -> None:
    chosen, other = (queues.put_failure({"detail-type": name, "detail": {}}) for name in ("Chosen", "Other"))

    letters = [letter for letter in dead_letters(queues.stack) if letter.message_id == chosen]

    assert [letter.message_id for letter in redrive(queues.stack, letters)] == [chosen]
    assert queues.left() == [other]


def test_a_purge_deletes_only_what_was_shown(queues: Queues) -> None:
    shown = [queues.put_failure(number) for number in range(12)]
    letters = dead_letters(queues.stack)
    queues.now += 1
    late = queues.put_failure("came while the operator was asked")

    assert purge(queues.stack, letters) == len(shown)
    assert queues.left() == [late]


def test_a_purge_of_some_leaves_the_others_visible(queues: Queues) -> None:
    messages = [queues.put_failure(number) for number in range(12)]
    letters = dead_letters(queues.stack)

    assert purge(queues.stack, letters[6:]) == 6
    assert queues.left() == messages[:6]


def test_a_purge_of_nothing_deletes_nothing(queues: Queues) -> None:
    message = queues.put_failure(POISON)

    assert purge(queues.stack, []) == 0
    assert queues.left() == [message]


def test_a_purge_of_all_needs_no_list(queues: Queues) -> None:
    queues.put_failure(POISON)
    queues.put(POISON, DEAD_NOTIFICATIONS)

    assert purge(queues.stack) == 2
    assert queues.left() == []


def test_a_purge_tells_what_sqs_does_not_delete_and_deletes_all_others(queues: Queues) -> None:
    messages = put_numbers(queues, 25)
    queues.failing = lambda operation, message_id: (
        "InternalError" if operation == "delete" and message_id in messages[3:5] else ""
    )

    with pytest.raises(Undeleted, match=r"^2 could not be deleted, and stay: InternalError, not now$") as raised:
        purge(queues.stack)

    assert (raised.value.deleted, queues.left()) == (23, messages[3:5])
