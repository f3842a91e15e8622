"""Pieces of the generated pages: tables, sections, whole files."""

import re
from collections.abc import Iterable
from typing import Final

GENERATED: Final = "<!-- Written by `make docs`. Do not edit. -->\n"
NOTHING: Final = "—"

Cells = tuple[str, ...]


def code(value: str) -> str:
    """Text in the type of programs."""
    return f"`{value}`" if value else ""


def cell(value: str) -> str:
    """Text for a cell of a table."""
    return value.replace("|", "\\|").replace("\n", " ").strip()


def table(heads: Cells, rows: Iterable[Cells]) -> str:
    """A table, "" where it has no rows; a column that is empty in all of them is left out."""
    listed = [tuple(map(cell, row)) for row in rows]
    kept = [n for n in range(len(heads)) if any(row[n] for row in listed)]
    if not listed:
        return ""
    lines = [heads, tuple("---" for _ in heads), *listed]
    return "\n".join(f"| {' | '.join(line[n] for n in kept)} |" for line in lines) + "\n"


def section(title: str, *parts: str) -> str:
    """A heading with what stands below it, "" where there is nothing."""
    below = [part for part in parts if part]
    return "\n".join([f"{title}\n", *below]) if below else ""


def page(title: str, *parts: str) -> str:
    """A whole file."""
    return "\n".join([f"{GENERATED}\n# {title}\n", *(part for part in parts if part)]).rstrip("\n") + "\n"


def begun(text_: str) -> str:
    """A sentence that begins with a capital, unless with a unit or a word of the script, and ends with a full stop."""
    line = " ".join(text_.split())
    if not line:
        return ""
    start = line[0].upper() + line[1:] if re.match(r"(?!ms )[a-z]+(?:[ ,.:;-]|$)", line) else line
    return start if start.endswith((".", ":")) else f"{start}."
