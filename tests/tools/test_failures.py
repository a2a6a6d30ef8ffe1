"""`npm run logs` shows the text of a failure once, though both our line and Lambda's own record have it."""

import json
import subprocess
from typing import Any

from tools.checkout import ROOT

TEXT = "GatewayUnavailable: the payment gateway does not respond"
OURS = {"level": "ERROR", "message": TEXT, "requestId": "r1", "orderId": "o"}
LAMBDAS = {
    "timestamp": "2026-11-26T22:32:41Z",
    "level": "ERROR",
    "requestId": "r1",
    "errorType": "GatewayUnavailable",
    "errorMessage": "the payment gateway does not respond",
    "stackTrace": [
        '  File "handlers/edge.py", line 40, in handler\n',
        '  File "orders/charge.py", line 3, in charge\n',
    ],
}
PAGES = """
const { foldFailures } = require('./tools/failures.js');
const pages = JSON.parse(process.argv[1]);
const logs = { hooks: { 'logs:logs': 1 }, getCloudWatchLogsClient: async () => ({ send: async () => pages.shift() }) };
foldFailures({ pluginManager: { plugins: [{}, logs] } });
(async () => {
  const shown = [];
  const client = await logs.getCloudWatchLogsClient();
  while (pages.length) shown.push(await client.send({}));
  console.log(JSON.stringify(shown));
})();
"""


def folded(*pages: dict[str, Any]) -> list[dict[str, Any]]:
    """The pages of CloudWatch Logs, as osls gets them."""
    ran = subprocess.run(["node", "-e", PAGES, json.dumps(pages)], cwd=ROOT, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


def page(*messages: object, stream: str = "s1") -> dict[str, Any]:
    return {
        "events": [
            {"logStreamName": stream, "message": each if isinstance(each, str) else json.dumps(each)}
            for each in messages
        ]
    }


def shown(*pages: dict[str, Any]) -> list[str]:
    return [event["message"] for each in folded(*pages) for event in each["events"]]


def test_lambda_s_record_of_the_same_request_is_shown_as_its_traceback() -> None:
    ours, lambdas = shown(page("START RequestId: r1", OURS), page(LAMBDAS))[1:]

    assert json.loads(ours) == OURS
    assert lambdas == "Traceback of request r1:\n" + "".join(LAMBDAS["stackTrace"])


def test_its_message_may_have_the_name_of_our_lines() -> None:
    record = {**LAMBDAS, "message": LAMBDAS["errorMessage"]}
    del record["errorMessage"]

    assert str(shown(page(OURS, record))).count("does not respond") == 1


def test_what_only_lambda_says_is_shown_as_it_is() -> None:
    for record in (
        LAMBDAS,
        {**LAMBDAS, "requestId": "r2"},
        {**LAMBDAS, "errorType": "Runtime.ExitError"},
        {**LAMBDAS, "errorMessage": "another"},
        "2026-11-26T22:32:41Z r1 Task timed out after 10.00 seconds",
    ):
        before = [] if record == LAMBDAS else [OURS]
        as_text = record if isinstance(record, str) else json.dumps(record)
        assert shown(page(*before, record))[-1] == as_text


def test_a_traceback_in_plain_text_ends_before_what_our_line_has_said() -> None:
    ours = {**OURS, "message": f"{TEXT}\nin two lines"}
    traceback = ["Traceback (most recent call last):", '  File "a.py", line 1', f"orders.errors.{TEXT}", "in two lines"]

    lines = shown(page(ours, *traceback, "END RequestId: r1", TEXT))

    assert lines[1:] == [*traceback[:2], "END RequestId: r1", TEXT]


def test_a_line_of_another_stream_or_with_other_words_before_it_is_kept() -> None:
    for other in (page(f"orders.errors.{TEXT}", stream="s2"), page(f"see {TEXT}"), page(TEXT[1:])):
        assert shown(page(OURS), other)[1:] == [other["events"][0]["message"]]


def test_a_response_that_is_no_page_of_a_log_is_passed_on() -> None:
    assert folded({"logStreams": [{"logStreamName": "s1"}]}) == [{"logStreams": [{"logStreamName": "s1"}]}]
