"""`npm start -- --keep`: what was there before a stop is there after the next start."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from local.emulator import keeping
from local.emulator.bridge import keeping as bridge
from local.emulator.inbox import inbox
from local.emulator.ports import free_port
from local.emulator.process import emulator
from local.emulator.state import LocalError, State
from operations.customer import ShopAccount
from operations.dead_letters import dead_letters, redrive
from operations.outage import switch_gateway
from operations.stack import Stack, described
from tests.e2e.waiting import wait_for
from tests.local.test_start import GENEROUS, printed, started, two_free_ports, wait

PASSWORD = "Secret-password-1"


def running(state: Path) -> Stack:
    return described(json.loads((state / "stack.json").read_text()))


def sign_in(stack: Stack, email: str) -> str:
    cognito = stack.client("cognito-idp")
    credentials = {"USERNAME": email, "PASSWORD": PASSWORD}
    answer = cognito.initiate_auth(
        ClientId=stack.outputs["UserPoolClientId"], AuthFlow="USER_PASSWORD_AUTH", AuthParameters=credentials
    )
    return str(answer["AuthenticationResult"]["IdToken"])


def test_orders_customers_and_dead_letters_survive_a_restart_and_the_samples_are_placed_once(tmp_path: Path) -> None:
    port, email = two_free_ports(), "bela@example.com"
    with started(tmp_path, port, "--keep") as process:
        wait(process, tmp_path, lambda: "Ctrl-C" in printed(tmp_path))
        stack = running(tmp_path)
        bela = ShopAccount(stack.client("cognito-idp"), stack.outputs, stack.api_url, email)
        pool = stack.outputs["UserPoolId"]
        stack.client("cognito-idp").admin_set_user_password(
            UserPoolId=pool, Username=email, Password=PASSWORD, Permanent=True
        )
        switch_gateway(stack, "down")
        order = bela.post("/orders", {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa"})
        wait(process, tmp_path, lambda: "is a dead letter of PaymentProcessing" in printed(tmp_path))
        process.send_signal(signal.SIGINT)
        assert process.wait(GENEROUS) == 0, printed(tmp_path)
    assert re.findall(r"4 of 4 orders", printed(tmp_path))

    with started(tmp_path, port, "--keep") as process:
        wait(process, tmp_path, lambda: "Ctrl-C" in printed(tmp_path))
        assert "4 of 4 orders" not in printed(tmp_path)
        assert re.search("^  Ctrl-C .*; `npm start -- --keep` continues with its state$", printed(tmp_path), re.M)
        assert "✗ the payment gateway is down" in wait_for("an outage", lambda: printed(tmp_path), lambda it: "✗" in it)
        stack = running(tmp_path)
        bela.token = sign_in(stack, email)
        assert bela.get(f"/orders/{order['orderId']}")["orderId"] == order["orderId"]
        assert [each.order_id for each in dead_letters(stack)] == [order["orderId"]]

        switch_gateway(stack, "up")
        assert [each.order_id for each in redrive(stack)] == [order["orderId"]]
        wait(process, tmp_path, lambda: re.search("→ e-mail sent$", printed(tmp_path), re.MULTILINE))
        assert bela.get(f"/orders/{order['orderId']}")["status"] == "FULFILLED"
        process.send_signal(signal.SIGINT)
        assert process.wait(GENEROUS) == 0, printed(tmp_path)

    with started(tmp_path, port) as process:
        wait(process, tmp_path, lambda: "Starting" in printed(tmp_path))
        assert re.search(
            r"^A new stack; the kept one is still in .*kept: npm start -- --keep$", printed(tmp_path), re.M
        )
    assert keeping.is_kept(State(tmp_path))


# --- the kept folder --------------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


Run = Callable[..., None]


@pytest.fixture
def run(state: State) -> Run:
    """The emulator, kept, with a queue made in it; a test may have it end otherwise."""
    port = free_port()

    def run(queue: str, ends: Callable[[], object] = lambda: None) -> None:
        with emulator(state, port, keep=True) as description:
            described({**description, "apiUrl": ""}).client("sqs").create_queue(QueueName=queue)
            ends()

    return run


def kept_queues(state: State) -> str:
    return (state.kept / "state" / "sqs.json").read_text()


def test_an_end_that_was_no_stop_keeps_what_was_kept_before(state: State, run: Run) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    run("first")
    with pytest.raises(ZeroDivisionError):
        run("second", fails)

    assert "first" in kept_queues(state)
    assert "second" not in kept_queues(state)

    run("third")
    assert "first" in kept_queues(state)
    assert "third" in kept_queues(state)
    assert [each.name for each in state.folder.glob("kept*")] == ["kept"]


def test_a_sent_e_mail_is_not_kept(state: State) -> None:
    port, mail = free_port(), {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello"}}}
    with emulator(state, port, keep=True) as description:
        ses = described({**description, "apiUrl": ""}).client("sesv2")
        ses.create_email_identity(EmailIdentity="orders@example.com")
        ses.send_email(
            FromEmailAddress="orders@example.com",
            Destination={"ToAddresses": ["ada@example.com"]},
            Content={"Simple": mail},
        )
        assert inbox(description["endpointUrl"], "ada@example.com")
    with emulator(state, port, keep=True) as description:
        assert not inbox(description["endpointUrl"], "ada@example.com")


def test_a_state_that_is_not_written_in_full_is_said_and_the_older_one_stays(state: State, run: Run) -> None:
    run("first")

    def becomes_unwritable() -> None:
        folder = state.folder / "kept.draft" / "state"
        shutil.rmtree(folder)
        folder.write_text("a file where the folder was")

    with pytest.raises(LocalError, match=r"^the state was not kept; the emulator's log says why: "):
        run("second", becomes_unwritable)

    assert "first" in kept_queues(state)


def test_an_emulator_that_does_not_end_is_said_and_the_older_state_stays(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_SAVE_TIMEOUT_SECONDS", 0.1)
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo; exec sleep 600"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(LocalError, match="did not write it"):
            keeping.save(process, state)
        process.kill()


def test_a_kept_state_is_one_of_its_port(state: State, run: Run) -> None:
    run("first")
    port = (state.kept / "port").read_text()

    with pytest.raises(
        LocalError, match=rf"^the kept state belongs to port {port}: npm start -- --keep --port {port}$"
    ):
        keeping.prepare(state, int(port) + 1)


def test_a_state_is_complete_only_where_nothing_failed(tmp_path: Path) -> None:
    failures: list[str] = []
    save = bridge.saying_when_complete(lambda _: None, failures, tmp_path / "complete")
    bridge.noting(lambda *_: None, failures)("failed to save %s: %s", "sqs", "no space")

    save({})
    assert not (tmp_path / "complete").exists()

    failures.clear()
    save({})
    assert (tmp_path / "complete").exists()
