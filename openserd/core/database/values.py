"""What goes into a database and comes out of it: values, conditions, names.

Text is bytes, as everywhere in openserd; a driver hands the bytes through as they are.  A moment is a `datetime`
without a zone, in local time, as OpenSER writes it; tables of dbtext keep it as seconds since 1970.
"""

import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from openserd.core.database.errors import DatabaseRefused

Value = bytes | int | float | datetime | None
Row = tuple[Value, ...]

OPERATORS: Final = frozenset(("=", "<", ">", "<=", ">=", "!="))
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
NAME_EXPECTED: Final = "letters, digits and _, at most 64, not beginning with a digit"


class Condition(NamedTuple):
    """What a column of a row must be.  `= None` means that it holds nothing, `!= None` that it holds something."""

    column: str
    value: Value
    op: str = "="


Where = Sequence[Condition]


def where(**values: Value) -> tuple[Condition, ...]:
    """Conditions that columns equal values."""
    return tuple(Condition(column, value) for column, value in values.items())


def check_name(name: str) -> str:
    """The name of a table or column. Raises DatabaseRefused for anything else: names are never quoted by guessing."""
    if NAME.fullmatch(name) is None:
        raise DatabaseRefused(f"{name!r} is no name of a table or column ({NAME_EXPECTED})")
    return name


def name_check(value: str) -> str | None:
    """A check for module parameters that name a table or column."""
    return None if NAME.fullmatch(value) else f"a name: {NAME_EXPECTED}"


def check_operator(op: str) -> str:
    """A comparison. Raises DatabaseRefused for anything else."""
    if op not in OPERATORS:
        raise DatabaseRefused(f"{op!r} is no comparison ({' '.join(sorted(OPERATORS))})")
    return op


def moment(at: float) -> datetime:
    """Seconds since 1970 as a value for a column of dates."""
    return datetime.fromtimestamp(int(at))


def seconds(value: Value) -> int:
    """A value from a column of dates as seconds since 1970; 0 for none."""
    if isinstance(value, datetime):
        return int(time.mktime(value.timetuple()))
    return 0 if value is None else int(value)


def date_text(value: datetime) -> str:
    """A moment as databases write it."""
    return value.strftime("%Y-%m-%d %H:%M:%S") if value.year >= 1000 else value.isoformat(" ", "seconds")


def date_value(text: bytes) -> Value:
    """A moment that a database has written; None for the date 0000-00-00."""
    try:
        return datetime.fromisoformat(text.decode("ascii"))
    except ValueError:
        return None
