"""The site's pages are all there, and its checks find what they must not have."""

import json
import re
from pathlib import Path

import pytest

from tools.checkout import ROOT
from tools.site import api, checking, pages

GOOD = {
    "index.html": '<a href="docs/b.html#p">b</a> <a href="https://example.com">c</a> <img src="p.svg" alt="p">',
    "docs/b.html": '<h2 id="p">b</h2> <a href="../index.html">a</a> <a href="#p">p</a> <script src="../s.js"></script>',
    "p.svg": '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "s.js": 'const link = "https://example.com"; fetch("search.json");',
    "s.css": "@font-face { src: url(font.woff2) }",
}


def problems(folder: Path, **changed: str) -> list[str]:
    """What is found in the good site with an addition to some of its files; `index_html` stands for `index.html`."""
    for name, text in GOOD.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text + changed.get(name.replace(".", "_").replace("/", "_"), ""))
    return checking.problems(folder)


def test_a_good_site_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize("link", ["c.html", "../index.html", "#no-such-part", "../index.html#p", "b"])
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str) -> None:
    is_there = link == "../index.html"

    found = problems(tmp_path, docs_b_html=f'<a href="{link}">dead</a>')

    assert [f"docs/b.html: links to {link}" in each for each in found] == ([] if is_there else [True])


@pytest.mark.parametrize(
    "asset",
    [
        '<script src="https://cdn.example.com/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example.com/x.css">',
        '<img src="http://cdn.example.com/x.png" alt="x">',
        '<img src="p.svg" srcset="https://cdn.example.com/x.png 2x" alt="x">',
        '<p style="background: url(https://cdn.example.com/x.png)">x</p>',
        "<style>@import 'https://cdn.example.com/x.css';</style>",
        "<script>import('https://cdn.example.com/x.js')</script>",
        '<iframe src="https://cdn.example.com/x.html"></iframe>',
        '<svg><use href="https://cdn.example.com/x.svg#a"></use></svg>',
    ],
)
def test_an_asset_from_elsewhere_is_found_in_a_page(tmp_path: Path, asset: str) -> None:
    [found] = problems(tmp_path, index_html=asset)

    assert found.startswith("index.html: loads ")
    assert found.endswith(" from elsewhere")


@pytest.mark.parametrize(
    ("name", "addition"),
    [
        ("s_css", "p { background: url('https://cdn.example.com/x.png') }"),
        ("s_js", "fetch('https://cdn.example.com/x.json')"),
        ("p_svg", '<image xlink:href="https://cdn.example.com/x.png"/>'),
    ],
)
def test_an_asset_from_elsewhere_is_found_in_styles_scripts_and_pictures(
    tmp_path: Path, name: str, addition: str
) -> None:
    [found] = problems(tmp_path, **{name: addition})

    assert found.startswith(name.replace("_", "."))


def test_a_picture_that_is_missing_or_has_no_text_is_found(tmp_path: Path) -> None:
    found = problems(tmp_path, index_html='<img src="q.svg" alt="q"><img src="p.svg">')

    assert found == [
        "index.html: a picture without alternative text: p.svg",
        "index.html: loads q.svg, which is not there",
    ]


def test_the_site_has_every_document_every_notebook_and_every_picture(tmp_path: Path) -> None:
    pages.gather(tmp_path / "pages")

    there = {file.relative_to(tmp_path / "pages").as_posix() for file in (tmp_path / "pages").rglob("*.*")}
    wanted = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/**/*.svg"), *ROOT.glob("notebooks/*.ipynb")]
    wanted += ROOT.glob("notebooks/*.md")
    assert {file.relative_to(ROOT).as_posix() for file in wanted} - there == set()


def test_the_home_page_lists_the_notebooks_in_order(tmp_path: Path) -> None:
    pages.gather(tmp_path / "pages")

    home = (tmp_path / "pages" / "index.md").read_text()
    names = sorted(file.name for file in ROOT.glob("notebooks/[0-9]*.ipynb"))
    positions = [home.index(f"(notebooks/{name})") for name in names]
    assert positions == sorted(positions)
    assert pages.LIST_OF_NOTEBOOKS not in home


def test_each_document_is_in_the_contents_of_one_page(tmp_path: Path) -> None:
    pages.gather(tmp_path / "pages")

    text = "\n".join((tmp_path / "pages" / file.name).read_text() for file in pages.HOME.glob("*.md"))
    listed = re.findall(r"^(?:.* <)?(docs/[\w-]+)>?$", text, re.MULTILINE)
    assert sorted(listed) == sorted(f"docs/{file.stem}" for file in ROOT.glob("docs/*.md"))


def test_the_page_of_the_api_has_every_operation_and_every_schema() -> None:
    document = json.loads((ROOT / api.DOCUMENT).read_text())
    page = api.page()

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"## {operation['summary']}\n\n```http\n{method.upper()} {path} " in page
    for name, schema in document["components"]["schemas"].items():
        assert (f"### {name}\n" in page) == bool(schema)
