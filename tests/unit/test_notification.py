"""The customer is notified once per order, and per channel, whatever goes wrong."""

import json
import subprocess
import sys
from typing import Any

import pytest

from handlers.wiring import claim_stale_after, notifier, store
from orders.choreography import notify_customer
from orders.events import decode
from orders.model import Receipt
from tests.conftest import Lines
from tests.shop import ANNA, Context, Envelope, NotTold, Shop
from tools import topology
from tools.checkout import ROOT

PHONE = "+4915112345678"
LetPass = Any


@pytest.fixture
def outcome(shop: Shop) -> Envelope:
    """The event that ends an order with a phone number, whose status has moved already; only the message is missing."""
    return _ended(shop)


def _ended(shop: Shop, **changes: Any) -> Envelope:
    _, event = shop.placed(paymentMethod="tok_declined", phone=PHONE, **changes)
    shop.deliver("paymentProcessing", event)
    [failed] = shop.drain()
    shop.deliver("orderStatusUpdater", failed)
    return failed


def _order_id(event: Envelope) -> str:
    return str(event["detail"]["data"]["orderId"])


def _claim(shop: Shop, outcome: Envelope, owner: str) -> bool:
    return store().claim(decode(outcome), "email", owner=owner, stale_after=claim_stale_after()).applied


def test_ten_deliveries_send_one_e_mail_and_one_text_message(shop: Shop, outcome: Envelope) -> None:
    for _ in range(10):
        shop.deliver("notification", outcome)
    assert (len(shop.emails), len(shop.texts)) == (1, 1)


def test_the_e_mail_goes_from_our_address_to_the_customer_s_in_text_and_html(shop: Shop, outcome: Envelope) -> None:
    shop.deliver("notification", outcome)
    [mail] = shop.emails
    assert mail["FromEmailAddress"] == "orders@example.com"
    assert mail["Destination"] == {"ToAddresses": [ANNA.email]}
    assert mail["Content"]["Simple"]["Body"].keys() == {"Text", "Html"}


def test_what_was_sent_is_recorded_counted_and_logged(
    shop: Shop, outcome: Envelope, metrics: Lines, log_lines: Lines
) -> None:
    metrics()
    shop.deliver("notification", outcome)
    item = shop.item(_order_id(outcome))
    assert item["notification"].keys() == {"channel", "messageId", "at"}
    assert (item["notification"]["channel"], item["sms"]["channel"]) == ("email", "sms")
    [counted], [logged] = metrics(), log_lines()
    assert counted["CustomersNotified"] == [1]
    assert [(line["message"], line["messageId"]) for line in (counted, logged)] == [
        ("The email was sent", item["notification"]["messageId"]),
        ("The sms was sent", item["sms"]["messageId"]),
    ]
    for line in (counted, logged):
        assert line["orderId"] == _order_id(outcome)
        assert line["correlationId"] == outcome["detail"]["metadata"]["correlationId"]


def test_the_claim_is_given_back_with_the_receipt(shop: Shop, outcome: Envelope) -> None:
    shop.deliver("notification", outcome)
    assert not {"emailClaim", "smsClaim"} & shop.item(_order_id(outcome)).keys()


def test_the_receipt_of_an_ended_order_s_e_mail_closes_it_in_the_same_write(shop: Shop, outcome: Envelope) -> None:
    shop.change(_order_id(outcome), phone=None)
    shop.deliver("notification", outcome)
    assert "dueAt" not in shop.item(_order_id(outcome))
    assert len([call for call in shop.wire.effects() if call.function == "notification"]) == 3, "claim, send, record"


def test_the_receipt_of_a_text_message_closes_nothing(shop: Shop, outcome: Envelope) -> None:
    order = store().get(_order_id(outcome))
    store().record_receipt(order, Receipt(channel="sms", at=order.placed_at, message_id="1"))
    assert {"sms", "openShard", "dueAt"} <= shop.item(order.order_id).keys()


# --- claims -----------------------------------------------------------------------------------------------------------


def test_another_s_live_claim_gives_the_message_back_and_sends_nothing(
    shop: Shop, outcome: Envelope, log_lines: Lines
) -> None:
    assert _claim(shop, outcome, "another")
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)
    assert (shop.emails, shop.texts) == ([], [])
    assert "ClaimedByAnother" in log_lines()[0]["message"]


def test_a_claim_is_stale_after_the_function_s_time_out(shop: Shop, outcome: Envelope, let_pass: LetPass) -> None:
    # given a function that crashed between claim and e-mail
    assert _claim(shop, outcome, "another")

    # when, then
    let_pass(seconds=29)
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)
    let_pass(seconds=2)
    shop.deliver("notification", outcome)
    assert len(shop.emails) == 1


def test_the_same_owner_may_claim_again(shop: Shop, outcome: Envelope) -> None:
    """The SDK repeats a claim whose answer was lost, and finds its own there."""
    shop.wire.lose_answer("dynamodb:UpdateItem")
    shop.deliver("notification", outcome)
    assert len(shop.emails) == 1
    assert "notification" in shop.item(_order_id(outcome))


def test_two_messages_of_one_event_in_one_batch_have_owners_of_their_own(shop: Shop, outcome: Envelope) -> None:
    # given the first one's e-mail fails in a way that another attempt may cure
    shop.wire.fail("ses:SendEmail", "TooManyRequestsException", status=429)

    # when
    given_back = shop.notify({"m1": outcome, "m2": outcome})

    # then the second one does not take the first one's claim for its own
    assert given_back == ["m1", "m2"]
    assert len(shop.wire.of("ses:SendEmail")) == 1


def test_a_claim_as_an_older_version_writes_it_is_another_s_claim(shop: Shop, outcome: Envelope) -> None:
    """During a deploy, both versions run side by side; the older one's owner ends with the message's id."""
    # given
    assert _claim(shop, outcome, "r-1/m1")

    # when
    batch = {"Records": [{"messageId": "m1", "body": json.dumps(outcome)}]}
    response = shop.invoke("notification", batch, Context(aws_request_id="r-1"))

    # then
    assert response == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert shop.emails == []


def test_a_crash_after_the_record_of_the_e_mail_still_sends_the_text_message_and_no_second_e_mail(
    shop: Shop, outcome: Envelope, let_pass: LetPass
) -> None:
    # given
    shop.wire.fail("sns:Publish", "InternalError", status=500)
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)
    assert (len(shop.emails), len(shop.texts)) == (1, 0)
    assert "dueAt" not in shop.item(_order_id(outcome)), "the e-mail alone closes the order"

    # when
    let_pass(seconds=31)
    shop.deliver("notification", outcome)

    # then
    assert (len(shop.emails), len(shop.texts)) == (1, 1)


def test_a_claim_of_an_order_whose_customer_was_notified_is_refused_even_when_it_is_stale(
    shop: Shop, outcome: Envelope, let_pass: LetPass
) -> None:
    shop.deliver("notification", outcome)
    let_pass(hours=1)
    assert not _claim(shop, outcome, "another")


# --- batches ----------------------------------------------------------------------------------------------------------


def test_only_the_messages_that_failed_are_given_back(shop: Shop) -> None:
    # given
    good, bad, also_good = _ended(shop), _ended(shop), _ended(shop)
    bad["detail"]["data"]["reason"] = "made_up"

    # when
    given_back = shop.notify({"m1": good, "m2": bad, "m3": also_good})

    # then
    assert given_back == ["m2"]
    assert len(shop.emails) == 2


@pytest.mark.parametrize("body", ["", "not json", "[]", "1", "null", '"text"', "{}", '{"detail": []}'])
def test_a_message_that_is_no_event_is_given_back_with_its_reason_in_the_log(
    shop: Shop, outcome: Envelope, log_lines: Lines, body: str
) -> None:
    assert shop.notify({"m1": body, "m2": outcome}) == ["m1"]
    assert len(shop.emails) == 1
    [failure, line] = [line for line in log_lines() if line["level"] in ("ERROR", "WARNING")]
    error = failure["message"].removeprefix("MalformedEvent: ")
    assert error != failure["message"]
    assert error not in json.dumps(line, ensure_ascii=False), "the error is said once"
    assert (line["message"], line["messageId"]) == ("SQS will deliver the message again", "m1")
    assert "handlers/edge.py" in "".join(line["stackTrace"]), "Lambda logs none: the invocation does not fail"


def test_an_empty_batch_is_no_failure(shop: Shop) -> None:
    assert shop.notify({}) == []


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["MessageRejected", "BadRequestException"])
def test_a_permanent_rejection_is_recorded_counted_closes_the_order_and_is_not_tried_again(
    shop: Shop, outcome: Envelope, metrics: Lines, code: str
) -> None:
    # given
    metrics()
    shop.wire.fail("ses:SendEmail", code)

    # when
    for _ in range(3):
        shop.deliver("notification", outcome)

    # then
    assert len(shop.wire.of("ses:SendEmail")) == 1
    item = shop.item(_order_id(outcome))
    assert item["notification"].keys() == {"channel", "at", "rejection"}
    assert item["notification"]["rejection"] == code, "the code alone: the message may name the address"
    assert "dueAt" not in item
    assert [line["NotificationsRejected"] for line in metrics() if "NotificationsRejected" in line] == [[1]]
    assert len(shop.texts) == 1, "the text message is another channel"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("TooManyRequestsException", 429),
        ("LimitExceededException", 400),
        ("SendingPausedException", 400),
        ("AccountSuspendedException", 400),
        ("InternalServiceErrorException", 500),
        ("AccessDeniedException", 403),
    ],
)
def test_an_error_that_may_pass_is_not_recorded_and_tried_again(
    shop: Shop, outcome: Envelope, let_pass: LetPass, code: str, status: int
) -> None:
    # given
    shop.wire.fail("ses:SendEmail", code, status=status)

    # when
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)

    # then
    item = shop.item(_order_id(outcome))
    assert "notification" not in item
    assert "dueAt" in item
    let_pass(seconds=31)
    shop.deliver("notification", outcome)
    assert len(shop.emails) == 1


NOT_VERIFIED = "Email address is not verified. The following identities failed the check in region US-EAST-1: "


@pytest.mark.parametrize("named", ["orders@example.com", "Orders@Example.com", "anna@example.net, orders@example.com"])
def test_a_sender_that_ses_has_not_verified_closes_no_order_and_the_customer_is_notified_once_it_has(
    shop: Shop, outcome: Envelope, let_pass: LetPass, log_lines: Lines, named: str
) -> None:
    # given
    shop.wire.fail("ses:SendEmail", "MessageRejected", message=NOT_VERIFIED + named)

    # when
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)

    # then
    item = shop.item(_order_id(outcome))
    assert "notification" not in item
    assert "dueAt" in item
    assert any("SES has not verified our own sender" in line["message"] for line in log_lines())
    assert "@" not in json.dumps(log_lines()), "no address is logged"

    # and when
    let_pass(seconds=31)
    shop.deliver("notification", outcome)

    # then
    assert len(shop.emails) == 1


def test_a_domain_of_ours_that_ses_has_not_verified_closes_no_order(shop: Shop, outcome: Envelope) -> None:
    shop.wire.fail("ses:SendEmail", "MessageRejected", message=NOT_VERIFIED + "example.com")
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)


def test_a_recipient_that_ses_has_not_verified_is_rejected_for_good(shop: Shop, outcome: Envelope) -> None:
    shop.wire.fail("ses:SendEmail", "MessageRejected", message=NOT_VERIFIED + "anna@example.com")
    shop.deliver("notification", outcome)
    assert shop.item(_order_id(outcome))["notification"]["rejection"] == "MessageRejected"


@pytest.mark.parametrize("operation", ["ses:SendEmail", "sns:Publish"])
def test_a_message_without_an_answer_is_no_rejection_and_is_tried_again_when_the_claim_is_stale(
    shop: Shop, outcome: Envelope, let_pass: LetPass, log_lines: Lines, operation: str
) -> None:
    # given
    shop.wire.lose_answer(operation)

    # when
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)

    # then
    assert any("got no response: ConnectionClosedError" in line["message"] for line in log_lines())
    let_pass(seconds=31)
    shop.deliver("notification", outcome)
    item = shop.item(_order_id(outcome))
    assert (item["notification"].keys(), item["sms"].keys()) == 2 * ({"channel", "at", "messageId"},)


def test_mail_and_text_messages_have_time_for_their_answer_within_a_third_of_the_function_s(
    shop: Shop, outcome: Envelope
) -> None:
    shop.deliver("notification", outcome)
    clients: list[Any] = [notifier()._ses, notifier()._sns]
    for sender in clients:
        config = sender.meta.config
        assert config.read_timeout == 10
        assert config.connect_timeout + config.read_timeout < topology.time_out("notification") / 2
    dynamodb: Any = store()._dynamodb
    assert dynamodb.meta.config.read_timeout == 2


def test_ses_and_sns_clients_do_not_retry_by_themselves(shop: Shop, outcome: Envelope, let_pass: LetPass) -> None:
    """A lost answer may mean a sent message: a second one must wait for the claim to be stale, at least."""
    shop.wire.lose_answer("ses:SendEmail")
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)
    assert shop.wire.requests.count("SendEmail") == 1
    let_pass(seconds=31)
    shop.wire.lose_answer("sns:Publish")
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)
    assert shop.wire.requests.count("Publish") == 1


def test_a_phone_that_can_not_be_reached_is_recorded_and_leaves_the_e_mail_alone(
    shop: Shop, outcome: Envelope, metrics: Lines
) -> None:
    metrics()
    shop.wire.fail("sns:Publish", "InvalidParameter")
    for _ in range(3):
        shop.deliver("notification", outcome)
    assert len(shop.wire.of("sns:Publish")) == 1
    assert len(shop.emails) == 1
    assert shop.item(_order_id(outcome))["sms"]["rejection"] == "InvalidParameter"
    assert [line["NotificationsRejected"] for line in metrics() if "NotificationsRejected" in line] == [[1]]


@pytest.mark.parametrize(("prefixes", "texts"), [("", 0), ("+43", 0), ("+43,+49", 1), ("+1,+4915", 1)])
def test_text_messages_go_only_where_the_deployment_allows_them(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, configured: Any, prefixes: str, texts: int
) -> None:
    # given
    configured(SMS_COUNTRY_PREFIXES=prefixes)
    notifier.cache_clear()
    outcome = _ended(shop)

    # when
    shop.deliver("notification", outcome)
    notifier.cache_clear()

    # then
    item = shop.item(_order_id(outcome))
    assert (len(shop.emails), len(shop.texts)) == (1, texts)
    assert ("sms" in item) == bool(texts)
    assert "dueAt" not in item, "the e-mail alone closes the order"


def test_a_text_message_is_transactional(shop: Shop, outcome: Envelope) -> None:
    shop.deliver("notification", outcome)
    [text] = shop.texts
    assert text["MessageAttributes"]["AWS.SNS.SMS.SMSType"]["StringValue"] == "Transactional"


def test_an_e_mail_that_fails_for_now_holds_the_text_message_back(
    shop: Shop, outcome: Envelope, let_pass: LetPass
) -> None:
    """Else each attempt at the e-mail would be one at the text message as well."""
    shop.wire.fail("ses:SendEmail", "TooManyRequestsException", status=429)
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)
    assert shop.texts == []
    let_pass(seconds=31)
    shop.deliver("notification", outcome)
    assert (len(shop.emails), len(shop.texts)) == (1, 1)


def test_an_order_without_an_e_mail_address_is_recorded_as_rejected_and_closes(shop: Shop, outcome: Envelope) -> None:
    # given one that was put into the table by hand
    shop.change(_order_id(outcome), email=None, phone=None)

    # when
    shop.deliver("notification", outcome)

    # then
    item = shop.item(_order_id(outcome))
    assert item["notification"]["rejection"] == "the order has no e-mail address"
    assert "dueAt" not in item
    assert shop.emails == []


@pytest.mark.parametrize(
    ("email", "recipient"),
    [
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@straße.example", "anna@xn--strae-oqa.example"),  # not strasse.example, which is somebody else's
        ("anna@BÜCHER.example", "anna@xn--bcher-kva.example"),
        ("Anna.B+shop@EXAMPLE.com", "Anna.B+shop@EXAMPLE.com"),
    ],
)
def test_ses_gets_the_domain_in_punycode_and_all_else_as_it_is(shop: Shop, email: str, recipient: str) -> None:
    shop.place(by=ANNA._replace(email=email))
    shop.run()
    [mail] = shop.emails
    assert mail["Destination"] == {"ToAddresses": [recipient]}


@pytest.mark.parametrize("email", ["jürgen@example.com", "anna@☕.example", "anna@a.example, bela@b.example", "none"])
def test_an_order_with_an_address_that_ses_can_not_take_is_recorded_as_rejected_and_closes(
    shop: Shop, outcome: Envelope, metrics: Lines, log_lines: Lines, email: str
) -> None:
    # given one that was stored before such addresses were refused
    shop.change(_order_id(outcome), email=email)
    metrics()

    # when
    for _ in range(3):
        shop.deliver("notification", outcome)

    # then
    assert shop.wire.of("ses:SendEmail") == []
    item = shop.item(_order_id(outcome))
    assert "the @ " in item["notification"]["rejection"]
    assert "dueAt" not in item
    assert [line["NotificationsRejected"] for line in metrics() if "NotificationsRejected" in line] == [[1]]
    assert email not in json.dumps(log_lines(), ensure_ascii=False)
    assert len(shop.texts) == 1, "the text message is another channel"


def test_only_a_domain_that_is_not_ascii_loads_the_tables_for_it() -> None:
    """They would cost each cold start."""
    script = """
import sys
import handlers.order_service, handlers.notification
from orders.aws.address import deliverable
for address in ("anna@example.com", "anna@bücher.example"):
    deliverable(address)
    print("idna" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_garbage_collector_waits_for_the_large_imports_and_leaves_them_out_afterwards() -> None:
    """It would cost each cold start."""
    script = """
import gc
more_than_the_youngest = []
gc.callbacks.append(lambda phase, info: more_than_the_youngest.append(info["generation"] > 0))
import handlers
print(any(more_than_the_youngest), gc.isenabled(), gc.get_freeze_count() > 10_000)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


def test_an_order_without_a_phone_number_is_notified_by_e_mail_alone(shop: Shop) -> None:
    """And no client is made for text messages: it would cost each cold start."""
    outcome = _ended(shop)
    shop.change(_order_id(outcome), phone=None)
    notifier.cache_clear()
    shop.deliver("notification", outcome)
    assert (len(shop.emails), shop.wire.of("sns:Publish")) == (1, [])
    assert notifier()._sns is None


def test_a_receipt_that_could_not_be_stored_may_send_again_when_the_claim_is_stale(
    shop: Shop, outcome: Envelope, let_pass: LetPass
) -> None:
    """The one gap that at-least-once leaves: between sending and recording."""
    # given
    answered = []

    def crash(**_: Any) -> None:
        answered.append("sent")
        shop.wire.fail("dynamodb:UpdateItem", "InternalServerError", status=500)

    notifier()._ses.meta.events.register("after-call.sesv2.SendEmail", crash)
    try:
        with pytest.raises(NotTold):
            shop.deliver("notification", outcome)
    finally:
        notifier()._ses.meta.events.unregister("after-call.sesv2.SendEmail", crash)

    # when it is delivered again at once
    with pytest.raises(NotTold):
        shop.deliver("notification", outcome)
    assert len(shop.emails) == 1

    # and when the claim is stale
    let_pass(seconds=31)
    shop.deliver("notification", outcome)
    assert len(shop.emails) == 2


def test_the_later_write_closes_the_order_even_while_the_e_mail_is_being_sent(shop: Shop) -> None:
    """The status moves between claim and receipt: the receipt, written last, sees it."""
    # given
    _, placed = shop.placed(paymentMethod="tok_declined")
    shop.deliver("paymentProcessing", placed)
    [failed] = shop.drain()

    def move(**_: Any) -> None:
        shop.deliver("orderStatusUpdater", failed)

    # when
    notifier()._ses.meta.events.register("after-call.sesv2.SendEmail", move)
    try:
        notify_customer(decode(failed), store(), notifier(), owner="me", stale_after=claim_stale_after())  # type: ignore[arg-type]
    finally:
        notifier()._ses.meta.events.unregister("after-call.sesv2.SendEmail", move)

    # then
    item = shop.item(_order_id(failed))
    assert item["status"] == "PAYMENT_FAILED"
    assert not {"openShard", "dueAt"} & item.keys()


def test_the_text_message_fits_and_names_no_more_than_it_must(shop: Shop, outcome: Envelope) -> None:
    shop.deliver("notification", outcome)
    [text] = shop.texts
    assert text["PhoneNumber"] == PHONE
    assert len(text["Message"]) <= 160
    assert ANNA.email not in json.dumps(text)
