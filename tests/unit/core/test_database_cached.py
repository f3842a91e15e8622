"""Tables in memory: what values become on their way to other processes. The rest is tested with domain."""

import marshal
from datetime import datetime

import pytest

from openserd.core.database.cached import number_of, plain
from openserd.core.database.values import Value


@pytest.mark.parametrize("value", [b"text\xff", 7, -1, 0.5, None, datetime(2026, 11, 26, 12, 0)])
def test_every_value_can_be_shared(value: Value) -> None:
    made = plain(value)
    assert marshal.loads(marshal.dumps(made)) == made
    assert made == (b"2026-11-26 12:00:00" if isinstance(value, datetime) else value)


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), (b"7", 7), (b" 7 ", 7), (7.0, 7), (7.5, None), (b"-7", None), (b"seven", None), (b"", None), (None, None)],
)
def test_numbers_are_read_however_a_database_keeps_them(value: Value, number: int | None) -> None:
    assert number_of(value) == number
