"""The wording of everything that people read: phrases that this repository avoids, each with a replacement.

`python -m tools.words`, part of `npm run check`, prints each finding as `file:line: phrase: write …`. It reads the
comments, the strings and the test names of code, and the text of documents outside of code spans. It does not read
documents that are generated from these.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.checkout import ROOT

RULES = (
    # Words for which the field has its own.
    (r"\banew\b", "again; republish"),
    (r"\b(?:take|takes|took|taken) up (?:an?|the|this|each|every) order", "reconcile"),
    (r"\bt(?:ell|ells|old|elling) (?:a|the|its|each|every) customers?\b", "notify"),
    (r"\b(?:is|are|was|were|be|been) told\b(?! apart\b| from\b| to\b)", "is notified; gets; knows"),
    (r"\bt(?:ell|ells|old|elling) of\b", "names; reports"),
    (r"\bnews\b", "notification; event"),
    (
        r"\b(?:an?|the|this|that|these|those|each|every|no|its|all|new|another|of|many|such|thousand) letters?\b"
        r"(?! first|,? digits| that is not ascii)",
        "message; e-mail; dead letter",
    ),
    (r"\b(?:by|in the) post\b|\bthe post (?:is|was|comes|goes|arrives)\b", "e-mail"),
    (r"\b(?:service|server|stack|api|gateway|emulator|aws|ses|sns|sqs|eventbridge) answer(?:s|ed)?\b", "responds"),
    (r"\b(?:service|server|stack|api|gateway|emulator|aws|ses|sns|sqs|eventbridge)'s answer\b", "response"),
    (r"\b(?:events?|messages?) (?:that )?(?:(?:is|are|was|were) )?taken by\b", "consumed by"),
    (r"\b(?:bears?|bore|borne) (?:\w+ )?out\b", "matches; verifies"),
    (r"\b(?:stands?|stood) (?:on|in)\b(?! for)", "is stored on; is listed in"),
    (r"\bthe way of\b|\bits own way again\b|\bon (?:its|their) way (?:again|once more)\b", "path; flow; redrive"),
    (r"\brules? (?:that )?(?:rests?|sleeps?)\b", "is disabled"),
    (r"\bput(?:s|ting)? (?:\w+ ){0,3}in a row\b", "serializes"),
    (r"\bnobody moves\b", "nothing updates"),
    (r"\bpass(?:es|ed)? the baton\b|\bhands? (?:\w+ )?along\b", "publishes the next event"),
    (r"\bput(?:s|ting)? off\b", "postpone"),
    (r"\b(?:liars?|witness|witnesses)\b", "adversary; online checker"),
    (r"\bunheard\b|\bnot heard from\b", "awaited"),
    (r"\bgo(?:es)? on with\b|\bwent on with\b", "continues with"),
    (r"\bat last\b", "finally"),
    (r"\bmeant so\b", "intended"),
    # Relatives without a head, and people without a name.
    (r"\bwhoever\b", "the person, function or process: name it"),
    (r"\bsomebody else is\b|\bis at it\b", "another invocation is handling it"),
    (r"\bwhat hangs on\b", "the subscribers; the targets: name them"),
    (r"\bwho comes (?:first|second|next|last)\b", "the first write; the second request"),
    (r"\bwhat fits\b", "the value that is valid"),
    (r"\bwhat (?:\w+ ){1,3}fail(?:s|ed) on\b", "failed invocations"),
    (r"\bwhat (?:\w+ )?can'?t (?:be )?deliver(?:ed)?\b", "undeliverable events"),
    (r"\bevents? that (?:is|are) not true\b", "forged event"),
)
"""Regular expression, for text in lower case, in which a space is any white space → what to write instead."""

_GENERATED = ("docs/asyncapi.yaml", "docs/events/", "docs/openapi.json", "docs/postman/", "tests/recorded/")
_QUOTING = ("tools/words.py", "tests/tools/test_words.py")
"""The files that have to name the phrases."""
_TEXT = {".in", ".html", ".md", ".yml"}
_CODE = {".css", ".js", ".mjs"}

_RULES = [(re.compile(pattern.replace(" ", r"\s+")), instead) for pattern, instead in RULES]
_ANY = re.compile(rf"\b(?:{'|'.join(pattern.pattern for pattern, _ in _RULES)})")
_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`", re.DOTALL
)  # JavaScript's comments and strings
_PLACES = re.compile(r"\$?\{[^{}]*\}")
_CODE_SPANS = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_TEST_NAME = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)


class Finding(NamedTuple):
    """A phrase to replace."""

    line: int
    phrase: str
    instead: str


def findings(name: str, text: str) -> list[Finding]:
    """The phrases in the prose of a file; its name decides what is prose."""
    if not _ANY.search(text.lower().replace("_", " ")):  # most files: reading their tokens would take seconds
        return []
    found = {
        Finding(line + piece.count("\n", 0, match.start()), " ".join(match[0].split()), instead)
        for line, piece in _prose(name, text)
        for pattern, instead in _RULES
        for match in pattern.finditer(piece.lower())
    }
    return sorted(found)


def _prose(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Each piece of a file that people read, with the number of its first line."""
    suffix = Path(name).suffix
    if suffix == ".py":
        yield from _of_python(text)
        yield from ((_line(text, each.start(1)), each[1].replace("_", " ")) for each in _TEST_NAME.finditer(text))
    elif suffix in _CODE:
        yield from ((_line(text, each.start()), _PLACES.sub("", each[0])) for each in _TOKEN.finditer(text))
    elif suffix == ".patch":
        yield 1, "\n".join(text.splitlines()[:2])  # the bug and its guarantee
    else:
        yield 1, _CODE_SPANS.sub(lambda span: "\n" * span[0].count("\n"), text)


def _of_python(text: str) -> Iterator[tuple[int, str]]:
    """Comments and strings. Python 3.12 and later split an f-string into tokens."""
    strings = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in strings:
            yield token.start[0], _PLACES.sub("", token.string)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def files() -> list[str]:
    """The files of the checkout that people write, those that git does not know yet included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return sorted(name for name in listed if _is_read(name) and (ROOT / name).is_file())


def _is_read(name: str) -> bool:
    if name.startswith(_GENERATED) or name in _QUOTING:
        return False
    return Path(name).suffix in {".py", ".patch", *_TEXT, *_CODE} or name == "package.json" or name.startswith(".ci/")


def main(names: Sequence[str]) -> int:
    """Print the findings in these files, or else in all; return 1 if there are any."""
    found = [(name, each) for name in names or files() for each in findings(name, (ROOT / name).read_text("utf-8"))]
    for name, (line, phrase, instead) in found:
        print(f"{name}:{line}: {phrase}: write {instead}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
