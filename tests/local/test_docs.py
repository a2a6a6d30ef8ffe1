"""The documents name tests that there are, and docs/emulator.md leaves none of its own out."""

import re
from pathlib import Path

import pytest

from tools.checkout import ROOT

DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
DOCUMENT = (ROOT / "docs" / "emulator.md").read_text()
TEST_FILES = list((ROOT / "tests").rglob("test_*.py"))


def defined_in(*files: Path) -> set[str]:
    return {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_each_test_that_a_document_names_exists(document: Path) -> None:
    named = set(re.findall(r"\btest_\w+", document.read_text())) - {file.stem for file in TEST_FILES}

    assert named - defined_in(*TEST_FILES) == set()


@pytest.mark.parametrize("file", ["test_bridge.py", "test_differences.py"])
def test_each_test_of_a_bridge_or_a_difference_is_named(file: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))

    assert defined_in(Path(__file__).parent / file) - named == set()


@pytest.mark.parametrize("path", re.findall(r"`((?:tests|local|operations|packaging)/[\w/.]+)`", DOCUMENT))
def test_each_file_that_it_names_exists(path: str) -> None:
    assert (ROOT / path).exists()
