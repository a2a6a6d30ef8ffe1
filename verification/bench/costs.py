"""docs/costs.md: the bill line by line, from the counts and the prices."""

from collections.abc import Iterator, Mapping
from typing import Any

from tools import topology
from verification.bench import price
from verification.bench.price import Bill

_HEAD = """# What it costs

Written by `npm run bench`: the counts of [performance.md](performance.md), times {region}'s list prices of {date}
([`verification/bench/prices.json`](../verification/bench/prices.json), with their sources), without the free tier. Nothing here has been billed by AWS yet. The order has
one line, an e-mail address and no phone number; above 1 KB a write counts twice.
"""


def page(values: Mapping[str, Any]) -> str:
    prices = price.PRICES
    return "\n".join([_HEAD.format(**prices), *_page(values), ""])


def _page(values: Mapping[str, Any]) -> Iterator[str]:
    approved, declined = values["approved"], values["declined"]
    bill, mails = price.a_million(approved), price.e_mails(approved)
    yield "## One million approved orders"
    yield ""
    yield from _table(bill, "without e-mail")
    yield ""
    yield (
        f"With an e-mail each, which SES bills at {price.total(mails):.0f} USD, it is **{price.total([*bill, *mails]):.0f} USD**."
        f" A million declined orders cost {price.total(price.a_million(declined)):.2f} USD, and e-mails. Text messages come on top, their"
        " price depends on the country; so does Cognito, which counts active users"
        f" ({price.PRICES['per_month']['Cognito active user']} USD each a month)."
    )
    yield ""
    yield "## Kept, each month"
    yield ""
    yield "Nothing deletes an order or its audit trail. For each million of them:"
    yield ""
    yield from _table(price.kept(approved), "each month")
    yield ""
    yield "## A month without orders"
    yield ""
    idle, free = price.a_month(values["reconciler, nothing due"]), price.PRICES["always_free"]
    yield from _table(idle, "each month")
    yield ""
    yield (
        f"AWS's always-free tier takes {free['CloudWatch alarm']} alarms, {free['CloudWatch dashboard']} dashboards,"
        f" {free['CloudWatch metric']} metrics and {free['SQS requests']:,} requests of SQS off an account's bill each month, and Lambda's"
        f" part of the reconciler's runs. Where nothing else uses them up, at most {price.beyond_free_tier(idle):.2f} USD of the"
        f" {price.total(idle):.2f} are left. A second stage in the account finds the alarms and the metrics used up."
    )
    yield ""
    yield "A business metric is billed for the hours in which something counts in it; here all of them do, all the time."
    yield ""
    yield from _at_most(values)
    yield "## What is assumed"
    yield ""
    waits = ", ".join(f"{service} {ms} ms" for service, ms in price.CALL_MS.items())
    memory = topology.service()["provider"]["memorySize"]
    yield (
        f"- *Duration*: a function waits for its calls ({waits}) and takes {price.OWN_MS} ms of its own; one invocation of"
        f" {1 / price.COLD_SHARE:.0f} starts cold and takes {price.COLD_MS} ms more. That is {price.milliseconds(approved):.0f} ms per order,"
        f" at {memory} MB. Twice as long would cost {price.total(p for p in bill if p.what.startswith('duration')):.2f} USD more."
    )
    yield (
        "- *Logs*: our lines are counted, with 26 bytes of CloudWatch's for each; API Gateway's access log is taken to have"
        f" {price.ACCESS_LOG} bytes a request. Lambda's own lines are off (`lambdaLogLevel`): with `INFO` they would cost"
        f" {_lambdas_lines(approved):.2f} USD."
    )
    yield "- *SQS*: SNS's delivery into the queue counts as a request, like the receive and the delete; AWS may not bill it."
    yield (
        f"- *Prices* that were not read again on AWS's pages for this file: {', '.join(price.PRICES['unchecked'])}."
        " The bill of a million orders without e-mail holds "
        f"{_unchecked(bill):.2f} USD of them."
    )
    yield (
        "- *Request ids* are as short as API Gateway's, 16 characters; the embedded AWS's have 36, and with them an order would"
        " cost a write unit more."
    )


def _at_most(values: Mapping[str, Any]) -> Iterator[str]:
    story = price.dearest(values)
    bill, orders = price.a_day(values[story]), price.throttled()
    mails = [each for each in bill if each.service == "SES"]
    a_million, accounts = price.total(price.a_million(values[story])), price.sign_ups()
    yield "## What a day can cost at most"
    yield ""
    yield (
        "Anybody can sign up and place orders; the API's throttling bounds what that costs. The dearest request is an order placed (the story"
        f" *{story}*): {a_million:.2f} USD for a million, and {price.total(price.e_mails(values[story])):.0f} USD for their e-mails."
    )
    yield ""
    yield "| at `throttleRate` for a whole day | | USD |"
    yield "| --- | --- | --- |"
    yield (
        f"| orders | {orders // price.DAY} a second × {price.DAY:,} s = {_amount(orders)}, × {a_million:.2f} USD for a million"
        f" | {price.total(bill) - price.total(mails):,.0f} |"
    )
    yield f"| their e-mails | as many, × {price.total(mails) / orders * price.MILLION:.0f} USD for a million | {price.total(mails):,.0f} |"
    yield f"| **sum** | | **{price.total(bill):,.0f}** |"
    yield f"| kept after that, each month | {_amount(orders)} orders | {price.total(price.kept(values[story])) * orders / price.MILLION:,.0f} |"
    yield ""
    yield (
        "Half of `throttleRate` is half of the sum. SES's daily quota and the limit on text messages (1 USD a month until you ask for more)"
        " bound the messages further; the prices of text messages are not in it. An order of more lines costs some write units more,"
        " and so does one that is retried."
    )
    yield ""
    yield (
        f"**The throttle does not bound sign-ups.** Browsers call Cognito themselves. Its default quota is {price.SIGN_UPS} new accounts a second,"
        f" and a sign-up makes an active user: {price.SIGN_UPS} × {price.DAY:,} s × {accounts.price} USD = **{accounts.usd:,.0f} USD** for a day of nothing"
        " else. Cognito's own limit of 50 e-mails a day may end that earlier; nobody has tried. A pool that is not meant for"
        " everybody should be closed to sign-up (`AdminCreateUserConfig`), and one that is should have AWS WAF before it."
    )
    yield ""
    yield (
        "`--param alarmEmail=… --param monthlyBudgetUsd=…` has AWS Budgets write to you at 80 % of the budget spent and at 100 % forecast. It"
        " looks at the whole account, up to three times a day, and forecasts after about five weeks: it tells you, and stops nothing."
    )
    yield ""


def _unchecked(bill: Bill) -> float:
    """Of the prices that stand in it, these do not come from a page that was read."""
    return price.total(each for each in bill if each.what.startswith(("archive, for", "logs, for", "answers")))


def _lambdas_lines(counts: Mapping[str, Any]) -> float:
    size = sum(counts["invocations"].values()) * price.LAMBDA_LOGS["INFO"] / price.GB
    return float(size * price.MILLION * price.PRICES["per_gb"]["CloudWatch Logs"])


def _table(bill: Bill, of: str) -> Iterator[str]:
    yield "| service | what | how much | USD |"
    yield "| --- | --- | --- | --- |"
    for each in bill:
        yield f"| {each.service} | {each.what} | {f'{_amount(each.amount)} {each.unit}'.strip()} | {each.usd:.2f} |"
    yield f"| **sum** | {of} | | **{price.total(bill):.2f}** |"


def _amount(amount: float) -> str:
    if amount >= price.MILLION:
        return f"{amount / price.MILLION:g} million"
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"
