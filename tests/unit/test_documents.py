"""The generated pages of docs/ are what the declarations say now."""

import re
from pathlib import Path

import pytest

from scripts import declarations, document

PAGES = document.documents()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    path = document.DOCS / name
    assert path.exists(), "make docs"
    assert path.read_text("utf-8") == PAGES[name], "make docs"


def test_no_page_is_left_of_a_module_that_is_gone() -> None:
    assert {path.stem for path in (document.DOCS / "modules").glob("*.md")} == set(declarations.modules())


@pytest.mark.parametrize("name", PAGES)
def test_links_of_a_page_lead_somewhere(name: str) -> None:
    folder = (document.DOCS / name).parent
    links = re.findall(r"\]\(([^)#\s]+)\)", PAGES[name])
    assert [link for link in links if not (folder / link).resolve().exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_rows_of_a_table_have_the_columns_of_its_head(name: str) -> None:
    widths: list[int] = []
    for line in PAGES[name].splitlines():
        if not line.startswith("|"):
            widths.clear()
            continue
        widths.append(len(re.findall(r"(?<!\\)\|", line)))
        assert widths[-1] == widths[0], line


def test_pages_can_be_written_elsewhere(tmp_path: Path) -> None:
    document.write(tmp_path)
    (tmp_path / "modules/gone.md").write_text("x")
    document.write(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")} == PAGES.keys()
