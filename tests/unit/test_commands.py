"""How the operator's commands are called, how they end, and that nothing they print can act on a terminal."""

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, NamedTuple, cast

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    EndpointConnectionError,
    ParamValidationError,
)

from operations import break_it, command, dlq, ledger, replay
from operations.command import Parser, run
from operations.dead_letters import dead_letters, purge
from operations.errors import OperatorError
from operations.preflight import __main__ as preflight
from operations.screen import console, progress
from operations.smoke import __main__ as smoke
from operations.stack import Outputs, Stack, StackUnavailable, add_stage, stack_name
from orders.aws import backoff
from orders.aws.dynamodb import to_item
from tests.unit.dead_letter_queues import DEAD_NOTIFICATIONS, FUNCTION, GONE, POISON, Queues, refusal
from tools.checkout import ROOT

STACK = stack_name("dev")

COMMANDS = {
    "dlq": dlq.main,
    "ledger": ledger.main,
    "replay": replay.main,
    "break_it": break_it.main,
    "preflight": preflight.main,
    "smoke": smoke.main,
}
HOSTILE = {
    "[/b]": "[/b]",
    "[/var/task/x]": "[/var/task/x]",
    "[bold]x": "[bold]x",
    "\\[/]\\": "\\[/]\\",
    ":smile:": ":smile:",
    "{order}": "{order}",
    "\x1b[2J\x07": r"\x1b[2J\x07",
    "\x9b31m": r"\x9b31m",
    "a\nb\rc": r"a\nb\rc",
    "\u202egnp.exe": r"\u202egnp.exe",
}
"""What is not to act on a terminal, and how it is shown."""

WHERE = "its number is in its e-mail and on its page in the storefront"

Called = Callable[..., int]


@pytest.fixture
def queues() -> Queues:
    return Queues()


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, queues: Queues) -> Called:
    """`called("dlq", "list")`: the exit code of a command, on a stack whose dead letters are `queues`."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr(command, "find", lambda *_: queues.stack)

    def call(name: str, *arguments: str) -> int:
        stage = () if "--stage" in arguments else ("--stage", "dev")
        monkeypatch.setattr(sys, "argv", [name, *arguments, *stage])
        try:
            return COMMANDS[name]()
        except SystemExit as ended:
            return int(ended.code or 0)

    return call


def event(order_id: str, detail_type: str = "OrderPlacedEvent") -> dict[str, object]:
    return {"detail-type": detail_type, "detail": {"data": {"orderId": order_id}}}


PLACED = {
    "eventId": "e1",
    "timestamp": "2026-01-01T00:00:00.000Z",
    "eventType": "OrderPlacedEvent",
    "source": "order-processing.orders",
    "orderId": "o1",
    "detail": {"data": {"orderId": "o1"}},
}


def audit_log(rows: list[dict[str, Any]]) -> Any:
    """A DynamoDB that has these rows of one order."""
    pages = [{"Items": [to_item(row) for row in rows]}]
    return SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: pages))


def stack_with(**clients: Any) -> Stack:
    """A stack whose services are these stand-ins."""
    session = SimpleNamespace(client=lambda service, **_: clients.get(service), region_name="us-east-1")
    names = {name: name for name in ("EventBusName", "EventArchiveName", "AuditLogTableName", "OrdersTableName")}
    topic = {"OrderNotificationTopicArn": "arn:aws:sns:us-east-1:000000000000:topic"}
    return Stack("dev", cast(Any, session), None, Outputs({**names, **topic}))


# --- what is printed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hostile", "shown"), [*HOSTILE.items()])
def test_what_lies_in_a_queue_is_shown_literally(
    called: Called, queues: Queues, capsys: pytest.CaptureFixture[str], hostile: str, shown: str
) -> None:
    queues.put_failure(event(hostile, hostile), reason=hostile)
    assert called("dlq", "list") == 0
    listed = capsys.readouterr().out
    assert listed.count(shown) == 3

    queues.put_failure(event(hostile, hostile), GONE)
    assert called("dlq", "redrive") == 1
    out, err = capsys.readouterr()
    assert f"✓ {shown} of order {shown} ─▶ fulfillment\n" in out
    assert f"✗ {shown} of order {shown} ─▶ gone\n" in out
    assert err.startswith(f"{shown} of order {shown} stays in the queue: ")
    assert err.count("\n") == 1

    assert called("dlq", "purge", "--yes") == 0
    purged = capsys.readouterr().out
    assert shown in purged
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & {*listed, *out, *err, *purged}


@pytest.mark.parametrize(("hostile", "shown"), [*HOSTILE.items()])
def test_an_error_is_one_line_whatever_it_quotes(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hostile: str, shown: str
) -> None:
    def find(*_: object) -> Stack:
        raise StackUnavailable(f"no {hostile} here")

    monkeypatch.setattr(command, "find", find)

    assert called("dlq", "list") == 1
    assert capsys.readouterr() == ("", f"no {shown} here\n")


@pytest.mark.parametrize("folder", ["operations", "local"])
def test_nothing_is_printed_but_by_the_console_that_takes_data_literally(folder: str) -> None:
    """Else somebody's order id is markup again, or an escape sequence."""
    makers = {"operations/screen.py", "operations/streams.py"}
    for file in sorted((ROOT / folder).rglob("*.py")):
        if (name := file.relative_to(ROOT).as_posix()) in makers:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                made = ast.unparse(node.func)
                assert made not in {"Console", "escape", "Text.from_markup", "rich.print"}, f"{name}:{node.lineno}"
                if made == "print":
                    assert "sys.stderr" not in ast.unparse(node) or isinstance(node.args[0], ast.Constant), name


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_a_redrive_tells_what_stays_and_ends_with_1(
    called: Called, queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = queues.put_failure(POISON, GONE)
    queues.put_failure(event("order-2"))

    assert called("dlq", "redrive") == 1

    out, err = capsys.readouterr()
    assert out.splitlines()[-2:] == [
        "1 delivered again, 1 left in the queue",
        "events that fail again are back after a few minutes: npm run dlq -- list --stage dev",
    ]
    assert re.fullmatch(r"Poison of order - stays in the queue: .*ResourceNotFoundException.*\n", err)
    assert queues.left() == [gone]


def test_what_comes_while_a_purge_asks_is_not_deleted(
    called: Called, queues: Queues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queues.put_failure(POISON)

    def answer(_question: str) -> str:
        queues.put_failure(event("late"))
        return "yes"

    monkeypatch.setattr("builtins.input", answer)

    assert called("dlq", "purge") == 0
    assert capsys.readouterr().out.endswith("1 deleted\n")
    assert called("dlq", "list") == 0
    assert "late" in capsys.readouterr().out


def test_a_purge_that_finds_less_than_it_has_shown_says_so(
    called: Called, queues: Queues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queues.put_failure(POISON)

    def answer(_question: str) -> str:
        assert called("dlq", "redrive") == 0
        return "yes"

    monkeypatch.setattr("builtins.input", answer)

    assert called("dlq", "purge") == 1
    assert capsys.readouterr().err == "1 were no longer there: redriven, deleted, or held by somebody else\n"


@pytest.mark.parametrize(
    "error",
    [
        OperatorError("it can't be done"),
        refusal("AccessDenied"),
        refusal("ThrottlingException"),
        ParamValidationError(report="two\nlines"),
        BotoCoreError(),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"),
        ConnectionClosedError(endpoint_url="http://127.0.0.1:4566"),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_fails_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, queues: Queues, capfd: pytest.CaptureFixture[str], error: Exception
) -> None:
    monkeypatch.setattr(command, "find", lambda *_: queues.stack)
    monkeypatch.setattr(command, "print_nothing_more", lambda: None)
    monkeypatch.setattr(sys, "argv", ["command", "--stage", "local"])
    parser = Parser()
    add_stage(parser)

    def fail(*_: object) -> int:
        raise error

    assert run(parser, fail) == 1
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    if isinstance(error, EndpointConnectionError | ConnectionClosedError):
        assert "is npm start still running?" in err


def test_a_replay_that_eventbridge_ends_early_is_one_line_and_exit_code_1(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = SimpleNamespace(
        describe_event_bus=lambda **_: {"Arn": "bus"},
        describe_archive=lambda **_: {"ArchiveArn": "archive"},
        start_replay=lambda **_: None,
        describe_replay=lambda **_: {"State": "FAILED", "StateReason": "no [/b] permission"},
    )
    monkeypatch.setattr(command, "find", lambda *_: stack_with(events=events))

    assert called("replay", "--from", "2026-01-01") == 1
    assert re.fullmatch(r"replay-\S+ ended as FAILED: no \[/b\] permission\n", capsys.readouterr().err)


def test_a_replay_that_is_stopped_is_cancelled_also_where_it_ends_just_then(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cancelled: list[str] = []

    def interrupt(**_: str) -> None:
        raise KeyboardInterrupt

    def cancel(ReplayName: str) -> None:
        cancelled.append(ReplayName)
        raise refusal("IllegalStatusException")

    events = SimpleNamespace(
        describe_event_bus=lambda **_: {"Arn": "bus"},
        describe_archive=lambda **_: {"ArchiveArn": "archive"},
        start_replay=lambda **_: None,
        describe_replay=interrupt,
        cancel_replay=cancel,
    )
    monkeypatch.setattr(command, "find", lambda *_: stack_with(events=events))

    assert called("replay", "--from", "2026-01-01") == 130
    assert (len(cancelled), capsys.readouterr().err) == (1, "stopped\n")


def test_an_event_that_eventbridge_refuses_is_one_line_and_exit_code_1(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "not now"}]}
    events = SimpleNamespace(put_events=lambda **_: refused)
    monkeypatch.setattr(command, "find", lambda *_: stack_with(events=events, dynamodb=audit_log([PLACED])))

    assert called("break_it", "send-twice", "o1") == 1
    assert capsys.readouterr().err == "EventBridge refused the event: InternalFailure, not now\n"


@pytest.mark.parametrize("rows", [[], [{"eventId": "e1", "timestamp": "2026", "orderId": "o1"}]])
@pytest.mark.parametrize("arguments", [("replay", "--order"), ("break_it", "send-twice")])
def test_an_order_that_the_audit_log_knows_no_event_of_is_one_line_and_exit_code_1(
    called: Called,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: list[dict[str, Any]],
    arguments: tuple[str, ...],
) -> None:
    events = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: []))
    monkeypatch.setattr(command, "find", lambda *_: stack_with(events=events, dynamodb=audit_log(rows)))

    assert called(*arguments, "o1") == 1
    assert capsys.readouterr() == ("", f"the audit log has no order o1; {WHERE}\n")


@pytest.mark.parametrize("detail", [{"data": {"orderId": "o1"}}, '{"data": {"orderId": "o1"}}'])
def test_an_event_is_sent_twice_as_it_was_however_the_audit_log_keeps_it(
    called: Called, monkeypatch: pytest.MonkeyPatch, detail: object
) -> None:
    sent: list[dict[str, str]] = []

    def put_events(Entries: list[dict[str, str]]) -> dict[str, Any]:
        sent.extend(Entries)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e2"}]}

    rows = audit_log([{**PLACED, "detail": detail}])
    stack = stack_with(events=SimpleNamespace(put_events=put_events), dynamodb=rows)
    monkeypatch.setattr(command, "find", lambda *_: stack)

    assert called("break_it", "send-twice", "o1") == 0
    assert json.loads(sent[0]["Detail"]) == {"data": {"orderId": "o1"}}


def test_a_target_that_is_gone_keeps_a_replay_from_no_other(
    called: Called, monkeypatch: pytest.MonkeyPatch, queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = [{"Name": name, "State": "ENABLED", "EventPattern": "{}"} for name in (GONE, FUNCTION)]
    events = SimpleNamespace(
        get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: [{"Rules": rules}]),
        list_targets_by_rule=lambda Rule, **_: {"Targets": [{"Arn": Rule}]},
        test_event_pattern=lambda **_: {"Result": True},
    )
    stack = stack_with(events=events, dynamodb=audit_log([PLACED]), **{"lambda": queues})
    monkeypatch.setattr(command, "find", lambda *_: stack)

    assert called("replay", "--order", "o1") == 1

    out, err = capsys.readouterr()
    assert out == f"✓ OrderPlacedEvent ─▶ {STACK}-fulfillment\n"
    assert re.fullmatch(r"OrderPlacedEvent could not be delivered: .*ResourceNotFoundException.*\n", err)


def test_a_gateway_whose_function_is_gone_is_one_line_and_exit_code_1(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def configuration(**_: str) -> None:
        raise refusal("ResourceNotFoundException", "GetFunctionConfiguration")

    functions = SimpleNamespace(get_function_configuration=configuration)
    monkeypatch.setattr(command, "find", lambda *_: stack_with(**{"lambda": functions}))

    for arguments in (["gateway"], ["gateway", "up"]):
        assert called("break_it", *arguments) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_an_error_of_the_programs_own_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, called: Called, queues: Queues
) -> None:
    monkeypatch.setattr(dlq, "dead_letters", lambda *_: [][0])

    with pytest.raises(IndexError):
        called("dlq", "list")


# --- how many dead letters ever ---------------------------------------------------------------------------------------

ORDERS = {
    "1a2b3c4d-0000-4000-8000-000000000001": {"status": "FULFILLED"},
    "5e6f7a8b-0000-4000-8000-000000000002": {"status": "PAYMENT_FAILED"},
    "9c0d1e2f-0000-4000-8000-000000000003": {"status": "PLACED", "dueAt": "2026-01-01T00:00:00.000Z"},
}


def put_letters_of_orders(queues: Queues) -> None:
    for order_id, order in ORDERS.items():
        queues.orders[order_id] = to_item({"orderId": order_id, **order})
    healed, declined, waiting = ORDERS
    queues.put_failure(event(healed), reason="the payment gateway does not respond")
    queues.put_failure(event(declined, "FulfillmentCompletedEvent"), reason="the payment gateway does not respond")
    queues.put_failure(event(waiting), reason="the payment gateway does not respond")
    queues.put_failure(event("of nobody"))
    queues.put(event(waiting), DEAD_NOTIFICATIONS)


def test_a_list_says_what_has_become_of_each_order_within_80_columns(
    called: Called, queues: Queues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_letters_of_orders(queues)
    monkeypatch.setenv("COLUMNS", "80")

    assert called("dlq", "list") == 0

    *table, last = capsys.readouterr().out.splitlines()
    assert last == (
        "5 in the dead-letter queues: 2 of orders that have healed since, 2 of orders that are open, 1 of no order"
    )
    assert sorted(map(str.rstrip, table)) == sorted(
        [
            "event ─▶ failed at         order     order now       reason",
            "OrderPlacedEvent ─▶        1A2B3C4D  healed,         the payment gateway does",
            "fulfillment                          FULFILLED       not respond",
            "FulfillmentCompletedEvent  5E6F7A8B  healed,         the payment gateway does",
            "─▶ fulfillment                       PAYMENT_FAILED  not respond",
            "OrderPlacedEvent ─▶        9C0D1E2F  open, PLACED    the payment gateway does",
            "fulfillment                                          not respond",
            "OrderPlacedEvent ─▶        OF NOBOD  -               no reason",
            "fulfillment",
            "OrderPlacedEvent ─▶        9C0D1E2F  open, PLACED    see the log of the",
            "notification                                         notification function",
        ]
    )


def test_a_wide_list_has_a_line_for_each_dead_letter_with_the_whole_order_id(
    called: Called, queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    put_letters_of_orders(queues)

    assert called("dlq", "list") == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    for order_id in ORDERS:
        assert [line for line in lines if order_id in line]
    assert [line.split()[:5] for line in lines if "PAYMENT_FAILED" in line] == [
        ["FulfillmentCompletedEvent", "─▶", "fulfillment", [*ORDERS][1], "healed,"]
    ]


def test_a_list_in_a_pipe_is_not_wrapped(tmp_path: Path) -> None:
    with process(tmp_path, 3, "list", PYTHONIOENCODING="utf-8", TERM="dumb") as ran:
        lines = ran.stdout.read().decode("utf-8").splitlines()
        assert ran.ended() == (0, b"")
    assert sorted(line.split() for line in lines if "Zahlung" in line) == [
        ["Zahlung", "→", "€", "─▶", "fulfillment", str(number), "-", "日本", "…"] for number in range(3)
    ]


def test_letters_whose_orders_can_not_be_read_are_shown_all_the_same(
    called: Called, queues: Queues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_letters_of_orders(queues)

    def refuse(keys: list[Any]) -> list[Any]:
        raise refusal("AccessDeniedException", "BatchGetItem")

    queues.unprocessed = refuse

    assert called("dlq", "list") == 1

    out, err = capsys.readouterr()
    assert out.count("not read") == 5
    assert out.endswith("\n5 in the dead-letter queues\n")
    assert re.fullmatch(r"the orders could not be read: .*AccessDeniedException.*BatchGetItem.*\n", err)


def test_an_empty_list_is_one_line(called: Called, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("dlq", "list") == 0
    assert called("dlq", "redrive") == 0
    assert called("dlq", "purge") == 0
    expected = ["0 in the dead-letter queues", "0 delivered again", "0 in the dead-letter queues", "0 deleted"]
    assert capsys.readouterr() == ("".join(f"{line}\n" for line in expected), "")


def test_a_long_command_says_how_far_it_is_and_nothing_of_it_acts_on_what_is_no_terminal(
    called: Called, queues: Queues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2_500):
        queues.put_failure(event(f"order {number}"))

    assert called("dlq", "purge", "--yes") == 0

    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert all(
        re.fullmatch(r"(reading the dead letters|reading their orders|deleting): \d,\d\d\d.*", each) for each in lines
    )
    assert len(lines) == 6, lines
    assert re.fullmatch(r"deleting: 2,\d\d\d of 2,500", lines[-1])
    assert out.endswith("\n2,500 deleted\n")
    assert "\x1b" not in out + err


def test_a_terminal_has_a_bar_while_it_takes() -> None:
    written = StringIO()
    with progress(console(file=written, force_terminal=True, width=80), "deleting", 2_500) as done:
        done(1_200)
    assert "deleting" in written.getvalue()
    assert "1200/2500" in written.getvalue()


def test_a_redrive_that_finds_less_than_there_was_says_so(
    called: Called, queues: Queues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_letters_of_orders(queues)
    found = dead_letters(queues.stack)
    monkeypatch.setattr(dlq, "dead_letters", lambda *_: found)
    purge(queues.stack, found[:2])

    assert called("dlq", "redrive") == 1

    out, err = capsys.readouterr()
    assert "\n3 delivered again\n" in out
    assert err == "2 were no longer there: redriven, deleted, or held by somebody else\n"


def test_a_purge_tells_what_was_not_deleted(
    called: Called, queues: Queues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backoff, "time", SimpleNamespace(sleep=lambda _: None))
    kept = queues.put_failure(POISON)
    queues.put_failure(POISON)
    queues.failing = lambda operation, message_id: (
        "InternalError" if (operation, message_id) == ("delete", kept) else ""
    )

    assert called("dlq", "purge", "--yes") == 1

    out, err = capsys.readouterr()
    assert out.endswith("\n1 deleted\n")
    assert err == "1 could not be deleted, and stay: InternalError, not now\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["redrive"], r"at least (\d+) of 900 were delivered again and deleted; the others are still there"),
        (["purge", "--yes"], r"at least (\d+) of 900 were deleted; the others are still there"),
    ],
)
def test_what_was_done_is_said_when_a_command_is_stopped_and_it_can_be_repeated(
    called: Called, queues: Queues, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    for number in range(900):
        queues.put_failure(event(f"order {number}"))
    deleted = [0]

    def stop(operation: str, _message_id: str) -> str:
        deleted[0] += operation == "delete"
        if deleted[0] == 400:
            raise KeyboardInterrupt
        return ""

    queues.failing = stop

    assert called("dlq", *arguments) == 130

    err = capsys.readouterr().err
    [number] = re.findall(said, err)
    assert err.endswith("Repeat the command to continue\nstopped\n")
    left = queues.left()
    assert 0 < int(number) <= 900 - len(left)
    assert left
    assert called("dlq", *arguments) == 0
    assert queues.left() == []


# --- how it is called -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yesterday"], "argument --from: 'yesterday' is not a time; write it like 2026-01-31T09:00Z"),
        (["--from", "0001-01-01T00:00+14:00"], "is not a time; write it like 2026-01-31T09:00Z"),
        (["--from", "2999-01-01"], "--from 2999-01-01T00:00:00Z is in the future"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "--from has to be before --to"),
        (["--from", "2026-01-02", "--to", "2026-01-02T01:00+01:00"], "--from has to be before --to"),
        (["--order", "x", "--to", "2026-01-02"], "--to needs --from"),
        (["--order", "x", "--from", "2026-01-02"], "not allowed with argument"),
        (["--order", ""], "argument --order: '' is not an order's id"),
        (["--order", "a\nb"], r"argument --order: 'a\nb' is not an order's id"),
        (["--to", "2026-01-02"], "one of the arguments --from --order is required"),
        ([], "one of the arguments --from --order is required"),
        (["--order", "x", "\x1b[2J"], r"unrecognized arguments: \x1b[2J"),
    ],
)
def test_a_replay_that_makes_no_sense_is_one_line_and_exit_code_2(
    called: Called, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert called("replay", *arguments) == 2

    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert err.endswith("; see: npm run replay -- --help\n")


def test_a_profile_that_is_not_there_is_one_line(called: Called, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("preflight", "--aws-profile", "of nobody") == 1

    message = "AWS in us-east-1 can't be asked: The config profile (of nobody) could not be found\n"
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("dlq", []), ("dlq", ["empty"]), ("break_it", ["gateway", "left"]), ("break_it", ["send-twice", ""])],
)
def test_a_command_that_does_not_exist_is_one_line_and_exit_code_2(
    called: Called, capsys: pytest.CaptureFixture[str], name: str, arguments: list[str]
) -> None:
    assert called(name, *arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("dlq", ["list"]),
        ("dlq", ["redrive"]),
        ("dlq", ["purge"]),
        ("replay", []),
        ("break_it", ["gateway"]),
        ("break_it", ["send-twice"]),
        ("preflight", []),
        ("smoke", []),
    ],
)
def test_each_command_takes_a_stage_a_region_and_a_profile_and_says_so(
    called: Called, capsys: pytest.CaptureFixture[str], name: str, arguments: list[str]
) -> None:
    assert called(name, *arguments, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert [option for option in ("--stage", "--region", "--aws-profile") if option not in text] == []
    assert "default: provider.region of serverless.yml" in text
    assert "exit codes: 0 done, 1 failed, 2 called wrongly, 130 stopped by Ctrl-C" in text


def test_what_was_typed_is_where_it_looks(
    called: Called, queues: Queues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[object, ...]] = []

    def find(*where: object) -> Stack:
        asked.append(where)
        return queues.stack

    monkeypatch.setattr(command, "find", find)

    assert called("dlq", "list", "--stage", "prod", "--region", "eu-west-1", "--aws-profile", "ops") == 0
    assert asked == [("prod", "eu-west-1", "ops")]


@pytest.mark.parametrize(
    ("stack", "arguments", "stage"),
    [
        ("running", [], "local"),
        ("gone", [], "dev"),
        (None, [], "dev"),
        ("running", ["--region", "eu-west-1"], "dev"),
        ("running", ["--aws-profile", "ops"], "dev"),
    ],
)
def test_a_command_without_a_stage_takes_the_running_local_stack_and_says_so(
    queues: Queues,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    stack: str | None,
    arguments: list[str],
    stage: str,
) -> None:
    asked: list[object] = []

    def find(name: str, *_: object) -> Stack:
        asked.append(name)
        return queues.stack

    monkeypatch.setattr(command, "find", find)
    monkeypatch.setenv("ORDER_PROCESSING_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["dlq", "list", *arguments])
    with socket.create_server(("127.0.0.1", 0)) as server:
        if stack:
            port = server.getsockname()[1] if stack == "running" else 9
            local = {"endpointUrl": f"http://127.0.0.1:{port}", "region": "us-east-1"}
            (tmp_path / "stack.json").write_text(json.dumps({**local, "accessKeyId": "a", "secretAccessKey": "b"}))

        assert dlq.main() == 0

    assert asked == [stage]
    assert capsys.readouterr().err == f"stage {stage}; for another one: --stage NAME\n"


@pytest.mark.parametrize("name", ["preflight", "smoke"])
def test_what_is_done_around_a_deploy_has_its_stage_by_default(name: str) -> None:
    parser = {"preflight": preflight, "smoke": smoke}[name]._parser()

    assert parser.parse_args([]).stage == "dev"


@pytest.mark.parametrize("name", ["replay", "break_it"])
def test_an_order_id_in_upper_case_is_the_same_order(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    asked: list[str] = []

    def act(_: Stack, order: str) -> list[str]:
        asked.append(order)
        return []

    monkeypatch.setattr(replay, "replay_order", act)
    monkeypatch.setattr(break_it, "publish_again", act)
    option = ["--order"] if name == "replay" else ["send-twice"]

    for typed in ("0B1DD2C5-6DD5-4BAC-8B0A-A8D65CE8B1B4", "ANYTHING else"):
        assert called(name, *option, typed) == 0
    assert asked == ["0b1dd2c5-6dd5-4bac-8b0a-a8d65ce8b1b4", "ANYTHING else"]


SHORT = {
    "0B1DD2C5": ["0b1dd2c5-6dd5-4bac-8b0a-a8d65ce8b1b4"],
    "1a2b3c4d": ["1a2b3c4d-0000-4000-8000-000000000001", "1a2b3c4d-0000-4000-8000-000000000002"],
    "00000000": [],
}
"""An order's number → the ids that begin with it."""


class Orders:
    """A DynamoDB whose orders come in pages, each of one order or none."""

    scanned = 0

    def get_paginator(self, operation: str) -> Any:
        assert operation == "scan"
        self.scanned += 1
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        prefix = request["ExpressionAttributeValues"][":number"]["S"]
        assert request["FilterExpression"] == "begins_with(#orderId, :number)"
        ids = [each for found in SHORT.values() for each in found]
        return [{"Items": [to_item({"orderId": each})] if each.startswith(prefix) else []} for each in ids]


@pytest.mark.parametrize("option", [["replay", "--order"], ["break_it", "send-twice"]], ids=" ".join)
@pytest.mark.parametrize("number", SHORT)
def test_an_orders_number_is_taken_for_its_id(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: list[str], number: str
) -> None:
    asked: list[str] = []

    def act(_: Stack, order: str) -> list[str]:
        asked.append(order)
        return []

    orders = Orders()
    stack = stack_with(dynamodb=orders)
    monkeypatch.setattr(command, "find", lambda *_: stack)
    monkeypatch.setattr(replay, "replay_order", act)
    monkeypatch.setattr(break_it, "publish_again", act)

    code = called(*option, number)

    _, err = capsys.readouterr()
    ids, shown = SHORT[number], number.upper()
    assert (code, asked) == ((0, ids) if len(ids) == 1 else (1, []))
    several = f"2 orders have the number {shown}; name one of {', '.join(ids)}\n"
    assert err == {0: f"no order has the number {shown}; {WHERE}\n", 1: "", 2: several}[len(ids)]
    assert orders.scanned == 1

    for each in ids:
        assert called(*option, each) == 0
    assert orders.scanned == 1, "an id costs no scan"


# --- as a process -----------------------------------------------------------------------------------------------------

_PROCESS = """
import json, sys
from operations import command, dlq
from tests.unit.dead_letter_queues import Queues
queues = Queues()
for number in range(int(sys.argv.pop(1))):
    event = {"detail-type": "Zahlung \\u2192 \\u20ac", "detail": {"data": {"orderId": str(number)}}}
    queues.put_failure(event, reason="\\u65e5\\u672c \\u2026")
command.find = lambda *_: queues.stack
try:
    sys.exit(dlq.main())
finally:
    with open(sys.argv[0], "w") as file:
        json.dump({"delivered": len(queues.delivered), "left": len(queues.left())}, file)
"""


@contextmanager
def process(tmp_path: Path, letters: int, *arguments: str, **environment: str) -> Iterator["Ran"]:
    """A `dlq` command with so many dead letters."""
    code = _PROCESS.replace("sys.argv[0]", repr(str(tmp_path / "end")))
    ours = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # pytest's workers have one
    with subprocess.Popen(
        [sys.executable, "-c", code, str(letters), *arguments, "--stage", "dev"],
        cwd=ROOT,
        env={**ours, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "0", "LC_ALL": "C", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as started:
        assert started.stdin
        assert started.stdout
        assert started.stderr
        yield Ran(started, started.stdin, started.stdout, started.stderr, tmp_path / "end")


class Ran(NamedTuple):
    process: "subprocess.Popen[bytes]"
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    file: Path

    def ended(self) -> tuple[int, bytes]:
        """Exit code and stderr, of which there is little."""
        return self.process.wait(timeout=60), self.stderr.read()

    @property
    def letters(self) -> dict[str, int]:
        """How many were delivered, and how many are left, once it has ended."""
        found: dict[str, int] = json.loads(self.file.read_text())
        return found


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "iso-8859-15", "utf-8"])
@pytest.mark.parametrize(
    ("command", "letters"), [("list", {"delivered": 0, "left": 3}), ("redrive", {"delivered": 3, "left": 0})]
)
def test_an_output_that_can_not_show_a_character_ends_nothing(
    tmp_path: Path, encoding: str, command: str, letters: dict[str, int]
) -> None:
    with process(tmp_path, 3, command, PYTHONIOENCODING=encoding) as ran:
        assert b"Zahlung" in ran.stdout.read()
        assert ran.ended() == (0, b"")
    assert ran.letters == letters


def test_a_redrive_whose_output_nobody_reads_leaves_what_it_does_not_deliver(tmp_path: Path) -> None:
    with process(tmp_path, 500, "redrive") as ran:
        assert ran.stdout.readline()
        ran.stdout.close()
        assert ran.ended() == (1, b"")
    assert sum(ran.letters.values()) == 500


@pytest.mark.parametrize("arguments", [["list"], ["purge"]])
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path, arguments: list[str]) -> None:
    with process(tmp_path, 900, *arguments, COLUMNS="80") as ran:  # longer than a pipe holds
        assert ran.stdout.readline()
        ran.stdout.close()
        assert ran.ended() == (1, b"")
    assert ran.letters["left"] == 900


def test_a_reader_that_goes_away_before_the_last_word_is_no_traceback(tmp_path: Path) -> None:
    with process(tmp_path, 2, "purge") as ran:
        while not ran.stdout.readline().startswith(b"2 in the dead-letter queues"):
            assert ran.process.poll() is None
        ran.stdout.close()
        ran.stdin.close()
        assert ran.ended() == (1, b"")
    assert ran.letters["left"] == 2


@pytest.mark.parametrize("answer", [b"", b"\n", b"no\n", b"yes please\n", b"ja", b"\xff\n"])
def test_a_purge_that_gets_no_yes_deletes_nothing(tmp_path: Path, answer: bytes) -> None:
    with process(tmp_path, 2, "purge", PYTHONIOENCODING="utf-8") as ran:
        ran.stdin.write(answer)
        ran.stdin.close()
        assert ran.stdout.read().endswith(b"nothing was deleted\n")
        assert ran.ended() == (1, b"")
    assert ran.letters["left"] == 2


def test_a_ctrl_c_at_the_question_deletes_nothing(tmp_path: Path) -> None:
    with process(tmp_path, 2, "purge") as ran:
        shown = b""
        while not shown.endswith(b"Type yes: "):
            shown += (character := ran.stdout.read(1))
            assert character, "it ended before it asked"
        while ran.process.poll() is None:  # a signal between the question and the reading only takes hold at the next
            ran.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                ran.process.wait(timeout=2)
        assert ran.ended() == (130, b"stopped\n")
    assert ran.letters["left"] == 2


def test_a_disk_that_is_full_is_one_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full, the device that is always full; Linux has one")
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [
                sys.executable,
                "-c",
                _PROCESS.replace("sys.argv[0]", repr(str(tmp_path / "end"))),
                "2",
                "list",
                "--stage",
                "dev",
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (ran.returncode, ran.stderr) == (1, "the output can't be written: [Errno 28] No space left on device\n")
