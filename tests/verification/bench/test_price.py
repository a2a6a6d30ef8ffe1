"""The bill: every count times its price, and every price with a date and a source."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.verification.bench.conftest import Stories
from tools import topology
from tools.checkout import ROOT
from verification.bench import figures, price, results
from verification.bench.counts import NOBODY_WATCHES, WATCHED, Counts
from verification.bench.journey import FUNCTIONS
from verification.bench.price import PRICES

NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("read units", "write units", "index write units", "sns publications", "sqs requests"), 0),
    **dict.fromkeys(("requests", "websocket messages", "websocket bytes", "connection minutes"), 0),
    **dict.fromkeys(("event bytes", "log bytes", "response bytes", "stored bytes", "stored index bytes", "e-mails"), 0),
    **{key: {} for key in ("calls", "events", "invocations")},
}


def usd(**counts: Any) -> float:
    """For a million times these counts, and nothing else."""
    return price.total(price.a_million({**NOTHING, **{name.replace("_", " "): n for name, n in counts.items()}}))


def test_nothing_costs_nothing() -> None:
    assert usd() == 0


def test_each_count_has_its_price() -> None:
    assert usd(write_units=2) == pytest.approx(2 * 0.625)
    assert usd(index_write_units=2) == pytest.approx(2 * 0.625)
    assert usd(read_units=1) == pytest.approx(0.125)
    assert usd(events={"OrderPlacedEvent": 2}) == pytest.approx(2.0)
    assert usd(sns_publications=1) == pytest.approx(0.5)
    assert usd(sqs_requests=3) == pytest.approx(1.2)


def works(function: str) -> float:
    """Milliseconds of a whole processor: of a hundred invocations, one starts the function."""
    warm, cold = (results.kept()[part].values[function] for part in ("warm_cpu", "cold_start"))
    return float(0.99 * warm["p50"] / 1000 + 0.01 * cold["cpu"])


def test_an_invocation_costs_a_request_and_its_time_at_its_memory() -> None:
    costs = usd(invocations={"auditLogger": 1}, calls={"auditLogger dynamodb:PutItem": 1})
    milliseconds = 5 + works("auditLogger") * 1769 / 256
    assert costs == pytest.approx(0.2 + 1_000_000 * milliseconds / 1000 * 0.25 * 0.0000133334)


def test_the_memory_gives_a_share_of_a_processor_and_of_one_only() -> None:
    assert [price.processor_share(mb) for mb in (1769 / 2, 1769, 3538)] == [0.5, 1, 1]


def test_a_function_with_twice_the_memory_works_twice_as_fast_and_waits_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: Counts = {"invocations": {"fulfillment": 1}, "calls": {"fulfillment events:PutEvents": 2}}
    taken = []
    for mb in (256, 512):
        monkeypatch.setattr(price, "memory_mb", lambda _, mb=mb: mb)
        taken.append((price.milliseconds(counts)["fulfillment"] - 30, price.gb_seconds(counts)))
    (slow, less), (fast, more) = taken
    assert slow == pytest.approx(2 * fast)
    assert more - less == pytest.approx(0.030 * 0.25), "only the waiting costs more"


def test_the_memory_of_the_functions_behind_the_bus_costs_less_than_twice_as_much(
    decided: Stories, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {price.memory_mb(function) for function in FUNCTIONS} == {256, 512, 1024}
    as_it_is = price.total(price.a_million(decided["approved"]))
    monkeypatch.setattr(price, "memory_mb", lambda _: 512)
    assert price.total(price.a_million(decided["approved"])) > as_it_is


def test_an_idle_run_of_the_reconciler_waits_for_eight_lists_at_once_or_works_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idle: Counts = {"invocations": {"reconciler": 1}, "calls": {"reconciler dynamodb:Query": 24}}
    works_for = (0.99 * 24 * results.kept()["warm_cpu"].values["auditLogger"]["p50"] / 1000) + (
        0.01 * results.kept()["cold_start"].values["reconciler"]["cpu"]
    )
    assert price.milliseconds(idle) == {"reconciler": pytest.approx(works_for * 1769 / 1024)}
    monkeypatch.setitem(price.CALL_MS, "dynamodb", 100)
    assert price.milliseconds(idle) == {"reconciler": 100 * (2 + 3)}, "two counts, and three rounds of lists"


def test_an_idle_run_of_the_reconciler_is_no_dearer_than_one_query_after_the_other_at_half_the_memory(
    measured: Stories,
) -> None:
    """As it was before it had threads: 24 queries at 512 MB."""
    waits, works_for = 24 * 5, 24 * 0.99 * results.kept()["warm_cpu"].values["auditLogger"]["p50"] / 1000
    before = (waits + works_for * 1769 / 512) / 1000 * 0.5
    assert price.gb_seconds(measured["reconciler, nothing due"]) <= before


def test_logs_cost_by_the_gigabyte_and_a_little_for_their_two_weeks() -> None:
    a_gigabyte_of_a_million = price.GB / price.MILLION
    assert usd(log_bytes=a_gigabyte_of_a_million) == pytest.approx(0.5 + 0.15 * 0.03 * 14 / 30)


def test_a_request_of_the_api_costs_its_answer_and_its_access_log_too() -> None:
    seconds = works("orderService") * 1769 / 512 / 1000
    with_api = usd(invocations={"orderService": 1}, requests=1) - 0.2 - 1_000_000 * seconds * 0.5 * 0.0000133334
    logged, out = price.access_log_bytes() * price.MILLION / price.GB, price.HEADER_BYTES * price.MILLION / price.GB
    assert with_api == pytest.approx(1.0 + logged * (0.5 + 0.15 * 0.03 * 14 / 30) + out * 0.09)


def test_what_is_kept_costs_each_month() -> None:
    a_gigabyte_of_a_million = price.GB / price.MILLION
    in_tables = price.kept({**NOTHING, "stored bytes": a_gigabyte_of_a_million})
    in_indexes = price.kept({**NOTHING, "stored index bytes": a_gigabyte_of_a_million})
    assert price.total(in_tables) == pytest.approx(0.25 + 0.2)
    assert price.total(in_indexes) == pytest.approx(0.25), "indexes have no backups"


def test_what_is_always_free_is_taken_off_each_line_and_no_more_than_that() -> None:
    alarms = price.BillLine("CloudWatch", "alarms", 12, "", 0.1, free=10)
    dashboard = price.BillLine("CloudWatch", "dashboard", 1, "", 3, free=3)
    runs = price.BillLine("Reconciler", "runs", 4, "", 0.5)
    assert sum(line.usd_beyond_free_tier for line in (alarms, dashboard, runs)) == pytest.approx(2 * 0.1 + 4 * 0.5)


def test_the_line_of_the_access_log_is_the_one_of_the_template() -> None:
    line = (
        '{"requestId":"JKJaXmPLvHcESHA=","routeKey":"GET /orders/{orderId}/events","status":"200",'
        ' "responseLength":"1024","ip":"2001:0db8:85a3:0000:0000:8a2e:0370:7334",'
        ' "latencyMs":"100","integrationLatencyMs":"100", "error":"-","integrationError":"-"}'
    )
    assert price.access_log_bytes() == 26 + len(line)


def test_the_simulated_provider_has_a_bill_of_its_own(decided: Stories) -> None:
    approved = decided["approved"]
    assert (approved["provider's calls"], approved["provider's write units"]) == (1, 1)
    gigabytes = approved["provider's stored bytes"] * price.MILLION / price.GB
    assert price.total(price.providers(approved)) == pytest.approx(0.625 + gigabytes * (0.25 + 0.2))
    more = {**approved, "provider's write units": 100, "provider's stored bytes": 100_000}
    assert price.a_million(more) == price.a_million(approved)


def test_messages_and_minutes_of_websockets_have_their_prices() -> None:
    a_gigabyte_of_a_million = price.GB / price.MILLION
    assert usd(websocket_messages=2) == pytest.approx(2 * 1.0)
    assert usd(websocket_messages=1, connection_minutes=4) == pytest.approx(1.0 + 4 * 0.25)
    assert usd(websocket_messages=1, websocket_bytes=a_gigabyte_of_a_million) == pytest.approx(1.0 + 0.09)
    assert [line.what for line in price.a_million({**NOTHING}) if "WebSocket" in line.what] == [], "where there is none"


def test_a_page_that_hears_of_its_order_asks_and_costs_less_than_when_it_polled(decided: Stories) -> None:
    """By hand: a poll asked for the order and for its timeline."""
    watched, ended, waiting, unwatched = price.pages(decided).values()
    read_both = sum(price.total(price.a_million(decided[story])) for story in ("GET order", "GET timeline"))
    assert [each.requests_before for each in (watched, ended, waiting, unwatched)] == [16, 60, 300, 0]
    assert [each.requests for each in (watched, ended, waiting, unwatched)] == [10, 0, 11, 0]
    assert [each.messages for each in (watched, ended, waiting, unwatched)] == [4, 0, 2, 0]

    polled = [pytest.approx(polls * read_both) for polls in (8, 30, 150)]
    assert [each.usd_before for each in (watched, ended, waiting)] == polled
    assert watched.usd == pytest.approx(price.total(price.a_million(decided[WATCHED])))
    assert watched.usd < watched.usd_before
    assert ended.usd == 0.25
    assert waiting.usd < waiting.usd_before / 20
    assert unwatched.usd == pytest.approx(3 * price.total(price.a_million(decided[NOBODY_WATCHES])))


def test_each_call_of_the_order_feed_counts_like_that_of_an_event_that_nobody_watches() -> None:
    counts: Counts = {"invocations": {"orderFeed": 2}, "calls": {"orderFeed dynamodb:Query": 2}}
    two_calls = {**counts, "calls": {"orderFeed dynamodb:Query": 2, "orderFeed execute-api:PostToConnection": 2}}
    warm, cold = (results.kept()[part].values["orderFeed"] for part in ("warm_cpu", "cold_start"))
    one, two = (price.milliseconds(each)["orderFeed"] for each in (counts, two_calls))
    assert one == pytest.approx(2 * 5 + 2 * works("orderFeed") * 1769 / 256)
    assert two - one == pytest.approx(2 * 15 + 2 * 0.99 * warm["p50"] / 1000 * 1769 / 256)
    assert cold["cpu"] > 0


def test_a_month_at_ten_orders_a_second_is_what_the_other_tables_make_of_it(decided: Stories) -> None:
    """By hand: 26.28 million orders, stored for half a month each."""
    approved, idle = decided["approved"], decided["reconciler, nothing due"]
    month = price.a_month_at(10, approved, idle)
    assert list(month.values()) == pytest.approx(
        [
            26.28 * price.total(price.a_million(approved)),
            price.total(price.a_month(idle)),
            13.14 * price.total(price.kept(approved)),
            2628,
        ]
    )
    without, with_e_mails = sum(month.values()) - 2628, sum(month.values())
    table = figures.a_month_with_orders()
    assert f" **{without:,.0f}** |" in table
    assert f" **{with_e_mails:,.0f}** |" in table
    assert sum(month.values()) == pytest.approx(
        sum(price.a_month_at(5, approved, idle).values()) * 2 - price.total(price.a_month(idle))
    )


def test_an_e_mail_costs_a_hundredth_of_a_cent() -> None:
    assert price.total(price.e_mails({**NOTHING, "e-mails": 1})) == pytest.approx(100)


def test_each_usual_choice_costs_more(decided: Stories) -> None:
    sum_of_it = price.total(price.a_million(decided["approved"]))
    chosen = price.choices(decided["approved"])
    assert len(chosen) == 5
    assert min(chosen.values()) > sum_of_it
    assert chosen["REST API instead of HTTP API"] == pytest.approx(sum_of_it + 2.5)
    # two writes for each of the eight deliveries, and the time that they take
    time = 16 * 0.005 * 0.25 * 0.0000133334 * price.MILLION
    assert chosen["an idempotency table per consumer"] == pytest.approx(sum_of_it + 16 * 0.625 + time)


def test_a_month_has_every_alarm_metric_and_dashboard_of_the_template(decided: Stories) -> None:
    month = {each.what: each for each in price.a_month(decided["reconciler, nothing due"])}
    assert (month["alarms"].amount, month["dashboard"].amount) == (13, 1)
    assert "OrdersOpenOverAnHour" in price.metrics()
    assert month["business metrics"].amount == len(price.metrics()) == 13
    assert month["a run each minute"].amount == 43_800


def test_a_day_at_the_throttle_is_as_many_of_the_dearest_request_as_the_api_lets_through(decided: Stories) -> None:
    """By hand: what serverless.yml lets through, times what a million cost, and a hundredth of a cent for a mail."""
    assert topology.service()["params"]["default"]["throttleRate"] == 100
    asked = [each for each in decided.values() if price.requests(each)]
    million = max(price.total(price.a_million(each)) / price.requests(each) for each in asked)
    at_most = 100 * 24 * 60 * 60 * (million / 1_000_000 + 0.0001)

    assert f"| **{at_most:,.0f}** |" in figures.a_day_at_most().splitlines()[-1]


def test_a_day_of_sign_ups_is_what_cognito_s_quota_and_price_make_of_it() -> None:
    at_most = 50 * 86_400 * PRICES["per_month"]["Cognito active user"]
    assert f"**{at_most:,.0f} USD**" in (ROOT / "docs" / "costs.md").read_text()


def test_the_prices_have_a_date_a_region_and_a_source_for_each_service(decided: Stories) -> None:
    bills = [price.a_million(decided["approved"]), price.e_mails(decided["approved"]), price.kept(decided["approved"])]
    services = {position.service for bill in bills for position in bill}
    assert (PRICES["date"], PRICES["region"], PRICES["currency"]) == ("2026-11", "us-east-1", "USD")
    assert services - PRICES["sources"].keys() == set()
    assert all(url.startswith("https://aws.amazon.com/") for url in PRICES["sources"].values())
