"""The bill: every count times its price, and every price with a date and a source."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.verification.bench.conftest import Stories
from tools import topology
from tools.checkout import ROOT
from verification.bench import figures, price
from verification.bench.price import PRICES

NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("read units", "write units", "index write units", "sns publications", "sqs requests"), 0),
    **dict.fromkeys(("event bytes", "log bytes", "answer bytes", "stored bytes", "stored index bytes", "e-mails"), 0),
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


def test_an_invocation_costs_a_request_and_its_time_at_its_memory() -> None:
    # 3 ms of its own, one in a hundred 500 ms more, and 5 ms for the call: 13 ms at half a gigabyte
    costs = usd(invocations={"auditLogger": 1}, calls={"auditLogger dynamodb:PutItem": 1})
    assert costs == pytest.approx(0.2 + 1_000_000 * 0.013 * 0.5 * 0.0000133334)


def test_logs_cost_by_the_gigabyte_and_a_little_for_their_two_weeks() -> None:
    a_gigabyte_of_a_million = price.GB / price.MILLION
    assert usd(log_bytes=a_gigabyte_of_a_million) == pytest.approx(0.5 + 0.15 * 0.03 * 14 / 30)


def test_a_request_of_the_api_costs_its_answer_and_its_access_log_too() -> None:
    with_api = usd(invocations={"orderService": 1}) - usd(invocations={"auditLogger": 1})
    logged, out = price.ACCESS_LOG_BYTES * price.MILLION / price.GB, price.HEADER_BYTES * price.MILLION / price.GB
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


def test_an_e_mail_costs_a_hundredth_of_a_cent() -> None:
    assert price.total(price.e_mails({**NOTHING, "e-mails": 1})) == pytest.approx(100)


def test_each_usual_choice_costs_more(decided: Stories) -> None:
    sum_of_it = price.total(price.a_million(decided["approved"]))
    chosen = price.choices(decided["approved"])
    assert len(chosen) == 5
    assert min(chosen.values()) > sum_of_it
    assert chosen["REST API instead of HTTP API"] == pytest.approx(sum_of_it + 2.5)
    # two writes for each of the eight deliveries, and the time that they take
    time = 16 * 0.005 * 0.5 * 0.0000133334 * price.MILLION
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
