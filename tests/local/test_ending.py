"""How `npm start` ends and what it keeps fresh, with a stand-in for the stack."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local.emulator.state import STATE_DIR_VARIABLE, LocalError, State
from local.launcher import start, streaming
from local.launcher.samples import SAMPLES, Sample
from local.terminal.timeline import OrderView

PLACED_AT = "2026-01-31T09:30:00.000Z"


def ended(sample: Sample, status: str) -> OrderView:
    """An order that has ended so, in one event."""
    event = {"eventType": "PaymentFailedEvent", "source": "order-processing.payment", "domainEventId": "e2"}
    order = {
        "orderId": f"order-of-{sample.title}",
        "status": status,
        "items": [],
        "totalAmount": 0,
        "currency": "EUR",
        "placedAt": PLACED_AT,
        "paymentMethod": sample.payment_method,
        "notification": {"channel": "email", "messageId": "m1", "at": PLACED_AT},
        "statusHistory": [{"status": status, "at": PLACED_AT, "eventId": "e2"}],
    }
    return OrderView(order, [{**event, "causationId": None, "attempt": 1, "timestamp": PLACED_AT}])


@pytest.fixture
def outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Title of a sample → the status in which it ends; as it should, unless a test changes it."""
    outcomes = {sample.title: sample.ends_as for sample in SAMPLES}

    @contextmanager
    def stack(_state: State, _port: int, **_: Any) -> Iterator[Mapping[str, Any]]:
        urls = {f"{name}Url": "http://127.0.0.1:1" for name in ("api", "endpoint", "web")}
        yield {**urls, "UserPoolClientId": "client"}

    def follow(sample: Sample, _order: Mapping[str, Any], _customer: Any) -> Iterator[OrderView]:
        yield ended(sample, outcomes[sample.title])

    monkeypatch.setenv(STATE_DIR_VARIABLE, str(tmp_path))
    monkeypatch.setattr(start, "stack", stack)
    monkeypatch.setattr(start, "find", lambda _stage: SimpleNamespace(client=lambda _service: None))
    customer = SimpleNamespace(email="ada@example.com", password="secret", token="a token")
    monkeypatch.setattr(start, "ShopAccount", lambda *_, **__: customer)
    monkeypatch.setattr(start, "streamed", lambda *_: nullcontext())
    monkeypatch.setattr(start, "without_events_for", lambda *_: nullcontext())
    monkeypatch.setattr(start, "place", lambda sample, _customer: ended(sample, outcomes[sample.title]).order)
    monkeypatch.setattr(start, "follow", follow)
    letter = {"MessageId": "m1", "To": ["ada@example.com"], "Subject": "About your order", "BodyText": "Hello,\n\nBye"}
    monkeypatch.setattr(start, "inbox", lambda *_: [letter])
    return outcomes


def test_once_ends_with_0_when_each_order_ended_as_it_should(outcomes: dict[str, str]) -> None:
    assert start.start(5166, once=True) == 0


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.title)
def test_once_ends_with_1_when_an_order_ended_otherwise(
    sample: Sample, outcomes: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes[sample.title] = "FULFILLED" if sample.ends_as != "FULFILLED" else "PAYMENT_FAILED"

    assert start.start(5166, once=True) == 1
    assert f"✗ ended as {outcomes[sample.title]}, not as {sample.ends_as}" in capsys.readouterr().out


def test_an_emulator_that_ends_by_itself_ends_the_stay_and_takes_the_token_along(
    outcomes: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(LocalError, match=r"^the embedded AWS has ended by itself; its log: .*emulator\.log$"):
        start.start(5166, once=False)  # nobody listens on port 1

    assert not (tmp_path / "token").exists()
    assert not (tmp_path / "postman.json").exists()


def test_the_token_is_renewed_while_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "_TOKEN_RENEWAL_SECONDS", -1)
    emulator = socket.create_server(("127.0.0.1", 0))
    customer = SimpleNamespace(token="old", email="ada@example.com", password="secret")

    def sign_in() -> None:
        customer.token = "new"
        emulator.close()  # so that the stay has an end

    customer.sign_in = sign_in
    endpoint_url = f"http://127.0.0.1:{emulator.getsockname()[1]}"
    description = {"endpointUrl": endpoint_url, "apiUrl": "http://127.0.0.1:1", "UserPoolClientId": "client"}
    with pytest.raises(LocalError):
        start._stay(description, customer, State(tmp_path))  # type: ignore[arg-type]

    assert (tmp_path / "token").read_text() == "new"
    assert '"value": "new"' in (tmp_path / "postman.json").read_text()
    for file in ("token", "postman.json"):
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o600


def test_what_keeps_the_stream_from_looking_is_said_once_and_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And when it has ended, it says nothing more."""
    said: list[str] = []
    looks = iter([OSError("no answer"), OSError("no answer"), None, OSError("no answer")])
    all_seen, may_end = Event(), Event()

    class Stream:
        def __init__(self, say: Any, _: Any) -> None:
            self.say = say

        def show(self, _: Any) -> None:
            look = next(looks, "the last one")
            if look == "the last one":
                all_seen.set()
                may_end.wait(60)
                self.say("too late")
            elif isinstance(look, OSError):
                raise look

    monkeypatch.setattr(streaming, "_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(streaming, "_STOP_TIMEOUT_SECONDS", 0)
    monkeypatch.setattr(streaming, "Stream", Stream)
    monkeypatch.setattr(streaming, "watch", lambda _: None)
    monkeypatch.setattr(streaming, "gateway", lambda *_: "up")
    terminal = SimpleNamespace(say=lambda words, **data: said.append(f"{words} {data}"))
    with streaming.streamed(cast(Any, terminal), cast(Any, SimpleNamespace(client=lambda _: None))):
        assert all_seen.wait(60)
    may_end.set()
    for thread in threading.enumerate():
        if thread.name == "stream":
            thread.join(60)

    assert len(said) == 2
    assert all("no answer" in line for line in said)
