"""What the RFCs ask (`tests/data/conformance/`), row by row, and which tests prove it.

A test names its rows with `@pytest.mark.conformance("PRX-01", ...)`.  `Outcomes` collects what became of them in one
run; with pytest-xdist the names travel in the report of each test.
"""

import ast
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Protocol

TESTS: Final = Path(__file__).parents[1]
FOLDER: Final = TESTS / "data/conformance"
MARKER: Final = "conformance"
WIDTH: Final = 96  #: of a requirement in the table; what is longer is cut
PASSED, FAILED, SKIPPED, NOT_APPLICABLE = "passed", "failed", "skipped", "does not apply"


@dataclass(frozen=True)
class Row:
    """One requirement; `why_not` says why it does not apply, "" where it does."""

    id: str
    rfc: str
    section: str
    requirement: str
    level: str
    why_not: str

    def is_in(self, rfc: str, chapter: str = "") -> bool:
        """Whether it belongs to an RFC, and to one of its chapters where that is named."""
        chapters = (part.strip().split(".")[0].split()[0] for part in self.section.split("/"))
        return self.rfc.split()[0] == rfc and (not chapter or chapter in chapters)


def table(name: str) -> Iterator[dict[str, str]]:
    """The rows of a table, each by its column names."""
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


@cache
def rows() -> dict[str, Row]:
    """Every requirement by its id."""
    why = {row["id"]: row["why"] for row in table("not_applicable.tsv")}
    return {
        row["id"]: Row(
            row["id"], row["rfc"], row["section"], row["requirement"], row["level"], why.get(row["id"], "")
        )
        for row in table("rows.tsv")
    }  # fmt: skip


# -- which tests prove a row, by their source ----------


@cache
def proofs() -> dict[str, list[str]]:
    """The tests that name each row, as `path::name`, whether they are collected in this run or not."""
    found: dict[str, list[str]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for id_ in named_by(node):
                    found.setdefault(id_, []).append(f"{file.relative_to(TESTS.parent)}::{node.name}")
    return found


def named_by(function: ast.FunctionDef) -> Iterator[str]:
    """The rows that the decorators of a test name."""
    for decorator in function.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == MARKER:
                yield from (one.value for one in node.args if isinstance(one, ast.Constant))


# -- what became of them in a run ----------


class Report(Protocol):
    """Of a report of pytest what is needed here."""

    outcome: str
    user_properties: list[tuple[str, object]]


class Outcomes:
    """What became of rows in one run: passed where a test passed and none failed."""

    def __init__(self) -> None:
        self.of_row: dict[str, str] = {}

    def add(self, report: Report) -> None:
        """Takes one report of one test."""
        for name, id_ in report.user_properties:
            if name == MARKER and self.of_row.get(str(id_)) != FAILED:
                before = self.of_row.get(str(id_), SKIPPED)
                self.of_row[str(id_)] = before if report.outcome == SKIPPED else report.outcome

    def lines(self, all_rows: Iterable[Row]) -> Iterator[str]:
        """The table, id by id, of what was run and of what does not apply; then what was not run, and the sums."""
        elsewhere = []
        for row in all_rows:
            outcome = NOT_APPLICABLE if row.why_not else self.of_row.get(row.id, "")
            if outcome:
                text = row.why_not or row.requirement
                yield f"{row.id:<8}{row.level:<8}{outcome:<16}{text[:WIDTH]}"
            elif row.id in proofs():
                elsewhere.append(row.id)
        if elsewhere:
            yield f"tested, but not in this run: {', '.join(elsewhere)}"
        counts = [(kind, sum(one == kind for one in self.of_row.values())) for kind in (PASSED, FAILED, SKIPPED)]
        yield f"{len(self.of_row)} rows: " + ", ".join(f"{count} {kind}" for kind, count in counts if count)
