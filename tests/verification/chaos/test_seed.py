"""What the seed decides, and which processes the killer may kill."""

import os
import random
import subprocess
import sys

from verification.chaos.faults import ENTRY_FAILED, RESET, RESPONSE_LOST, SERVICES, THROTTLED, faults
from verification.chaos.load import purchases
from verification.chaos.proxy import Killer, subject

ORDER = "8cc2e6bc-acdb-51a7-9d7a-fa945f171f47"


def test_one_seed_makes_the_same_load_and_the_same_faults() -> None:
    assert purchases(50, 1) == purchases(50, 1) != purchases(50, 2)
    assert faults(1) == faults(1) != faults(2)


def test_every_service_fails_in_every_way() -> None:
    kinds = {(fault.service, fault.kind) for fault in faults(1)}
    assert kinds >= {(service, kind) for service in SERVICES for kind in (THROTTLED, RESET, RESPONSE_LOST)}
    assert {service for service, kind in kinds if kind == ENTRY_FAILED} == {"events"}


def test_nobody_without_a_key_retries_and_no_two_orders_have_one_phone_number() -> None:
    plan = purchases(200, 1)
    assert not [purchase for purchase in plan if purchase.key is None and purchase.again]
    phones = {purchase.body["phone"]: purchase.key for purchase in plan if "phone" in purchase.body}
    assert len(phones) == len({number for number, _ in phones.items()}) > 10
    assert {purchase.body["paymentMethod"] for purchase in plan} == {
        "tok_visa",
        "tok_mastercard",
        "tok_declined",
        "tok_insufficient_funds",
    }


def test_the_killer_kills_nothing_that_the_emulator_did_not_start() -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    killer = Killer(random.Random(1), emulator=os.getpid)
    try:
        assert not killer.kill(bystander.pid)
        assert not killer.kill(os.getpid())
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.communicate()


def test_each_call_shows_its_order() -> None:
    key = f'{{"Key": {{"orderId": {{"S": "{ORDER}"}}}}, "UpdateExpression": "SET #x = :x REMOVE #emailClaim, #dueAt"}}'
    put = f'{{"Entries": [{{"Detail": "{{\\"data\\": {{\\"orderId\\": \\"{ORDER}\\"}}}}"}}]}}'
    assert subject("dynamodb", key.encode()) == {"order": ORDER, "receipt": "email"}
    assert subject("events", put.encode()) == {"order": ORDER}
    assert subject("ses", f'{{"Content": "Order number: {ORDER}"}}'.encode()) == {"order": ORDER}
    assert subject("sns", b"Action=Publish&PhoneNumber=%2B4915100000001") == {"phone": "+4915100000001"}
    assert subject("sqs", b"{}") == subject("dynamodb", b"{}") == {}
