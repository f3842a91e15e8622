"""The tables of `tests/data/openser12/`: what a user of OpenSER 1.2 could see, as rows."""

import csv
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "tests/data/openser12"
TABLES: Final = (
    "core_params", "core_functions", "core_expressions", "pseudo_variables", "statistics", "mi_commands", "cmdline",
    "modules", "module_functions", "module_params", "tm_timers", "ctl_commands", "db_schema",
)  # fmt: skip

Facts = dict[str, str]

QUOTED: Final = re.compile(r'"[^"]*"')
#: Alternatives of a single argument that are themselves written with commas.
ONE_ARGUMENT: Final = "(host, IP, identifier or string)"
ANY_NUMBER: Final = None


@cache
def read(table: str) -> tuple[Facts, ...]:
    """The rows of a table, each by its column names."""
    with (FOLDER / f"{table}.tsv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def words(cell: str) -> list[str]:
    """The words of a cell that lists some, by commas."""
    return [word for word in (part.strip() for part in cell.split(",")) if word]


def meaning(table: str, **columns: str) -> str:
    """The `meaning` of the first row with these cells, "" where there is none."""
    for row in read(table):
        if all(row[column] == cell for column, cell in columns.items()):
            return row["meaning"]
    return ""


def form_arities(forms: str) -> set[int]:
    """How many arguments a core function takes, from `bare / () / ("uri") / ("uri","q")`."""
    return {form_arity(form.strip()) for form in forms.split(" / ")}


def form_arity(form: str) -> int:
    """The number of arguments of one form."""
    if form in ("bare", "()"):
        return 0
    if form == ONE_ARGUMENT:
        return 1
    return QUOTED.sub("", form).count(",") + 1


def mi_arities(arguments: str) -> tuple[int, int | None]:
    """Least and most arguments of a management command, from `table, AOR, [body]`; most is None for any number."""
    if arguments == "none":
        return 0, 0
    if "..." in arguments:
        return 1, ANY_NUMBER
    outside = re.sub(r"\([^)]*\)", "", arguments)
    listed = words(outside)
    return sum(not word.startswith("[") for word in listed), len(listed)


def callable_functions(module: str) -> Iterator[Facts]:
    """The rows of a module's functions that a script can call."""
    return (row for row in read("module_functions") if row["module"] == module and row["internal"] == "no")


def module_params(module: str) -> Iterator[Facts]:
    """The rows of a module's parameters."""
    return (row for row in read("module_params") if row["module"] == module)
