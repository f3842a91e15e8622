"""A table of dbtext in memory: rows, conditions on them, and the search for equal values.

Values take the type of their column: a moment in an int column is its seconds since 1970, as in OpenSER.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from openserd.core.database.errors import DatabaseRefused
from openserd.core.database.textfile import Column, no_value, read_columns, read_rows, write_columns, write_row
from openserd.core.database.values import Row, Value, Where, check_operator, date_text, seconds

COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {"=": eq, "!=": ne, "<": lt, ">": gt, "<=": le, ">=": ge}

Test = tuple[int, str, Value]  #: the number of a column, how it is compared, with what


class Table:
    """The rows of one table, each with its line in the file, so that a change writes no other line anew.

    Nothing is changed in place: a change makes another Table.
    """

    def __init__(self, name: str, columns: list[Column], rows: list[Row], lines: list[bytes]) -> None:
        self.name = name
        self.columns = columns
        self.rows = rows
        self.lines = lines
        self.numbers = {column.name.lower(): number for number, column in enumerate(columns)}
        self.indexes: dict[int, dict[Value, list[int]]] = {}

    @classmethod
    def parse(cls, name: str, text: bytes) -> "Table":
        """The table in a file. Raises DatabaseRefused."""
        try:
            head, *lines = text.split(b"\n")
            columns = read_columns(head.rstrip(b"\r"))
            rows = read_rows(lines, columns)
            return cls(name, columns, rows, [line + b"\n" for line in (one.rstrip(b"\r") for one in lines) if line])
        except DatabaseRefused as refused:
            raise DatabaseRefused(f"table {name}: {refused}") from None

    def text(self) -> bytes:
        """The table as a file."""
        return write_columns(self.columns) + b"".join(self.lines)

    def number(self, column: str) -> int:
        """The place of a column, whose name may be in any case. Raises DatabaseRefused."""
        number = self.numbers.get(column.lower())
        if number is None:
            raise DatabaseRefused(f"table {self.name} has no column {column}")
        return number

    # -- reading --------------------------------------------------------------------------------------------

    def select(self, columns: Sequence[str], where: Where, order: str) -> list[Row]:
        """Rows that meet all conditions."""
        rows = [self.rows[place] for place in self.find(where)]
        if order:
            key = self.number(order)
            rows.sort(key=lambda row: (row[key] is not None, row[key]))
        if not columns:
            return rows
        wanted = [self.number(column) for column in columns]
        return [tuple([row[number] for number in wanted]) for row in rows]

    def find(self, where: Where) -> Sequence[int]:
        """The places of the rows that meet all conditions."""
        tests = [self.test(*one) for one in where]
        places: Sequence[int] = range(len(self.rows))
        for number, op, value in tests:
            if op == "=" and places.__class__ is range:
                places = self.index(number).get(value, [])
            else:
                places = [place for place in places if holds(self.rows[place][number], op, value)]
        return places

    def test(self, column: str, value: Value, op: str) -> Test:
        """A condition, its value as the column has it. Raises DatabaseRefused."""
        number = self.number(column)
        return number, check_operator(op), None if value is None else fitting(value, self.columns[number])

    def index(self, number: int) -> dict[Value, list[int]]:
        """Where each value of a column stands."""
        found = self.indexes.get(number)
        if found is None:
            found = self.indexes[number] = {}
            for place, row in enumerate(self.rows):
                found.setdefault(row[number], []).append(place)
        return found

    # -- changing: each gives a new table -------------------------------------------------------------------

    def with_rows(self, rows: list[Row], lines: list[bytes]) -> "Table":
        """This table with other rows."""
        return Table(self.name, self.columns, rows, lines)

    def inserted(self, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> "Table":
        """This table with more rows. Raises DatabaseRefused."""
        places = [self.number(column) for column in columns]
        absent = [0 if number in places else self.next_number(number) if numbers_itself(column) else 0
                  for number, column in enumerate(self.columns)]  # fmt: skip
        added: list[Row] = []
        for row in rows:
            given = dict(zip(places, row, strict=True))
            added.append(tuple([
                field(given[number], column) if number in given else default(column, absent[number] + len(added))
                for number, column in enumerate(self.columns)
            ]))  # fmt: skip
        return self.with_rows(self.rows + added, self.lines + [write_row(row) for row in added])

    def next_number(self, number: int) -> int:
        """The number after the highest of a column."""
        return 1 + max((value for value in (row[number] for row in self.rows) if isinstance(value, int)), default=0)

    def updated(self, changes: Mapping[str, Value], where: Where) -> "tuple[Table, int]":
        """This table with rows changed, and how many those are. Raises DatabaseRefused."""
        new = {self.number(column): value for column, value in changes.items()}
        fields = {number: field(value, self.columns[number]) for number, value in new.items()}
        places = self.find(where)
        if not places:
            return self, 0
        rows, lines = list(self.rows), list(self.lines)
        for place in places:
            rows[place] = tuple([fields.get(number, value) for number, value in enumerate(rows[place])])
            lines[place] = write_row(rows[place])
        return self.with_rows(rows, lines), len(places)

    def deleted(self, where: Where) -> "tuple[Table, int]":
        """This table without some rows, and how many those were."""
        places = set(self.find(where))
        if not places:
            return self, 0
        kept = [place for place in range(len(self.rows)) if place not in places]
        return self.with_rows([self.rows[n] for n in kept], [self.lines[n] for n in kept]), len(places)


def numbers_itself(column: Column) -> bool:
    """Whether a column that is not given gets the next number: `auto`, or the `id` that OpenSER's own scripts forgot
    to declare so."""
    return column.auto or (column.kind == "int" and not column.null and column.name.lower() == "id")


def field(value: Value, column: Column) -> Value:
    """A value that was given for a column. Raises DatabaseRefused."""
    return no_value(column) if value is None else fitting(value, column)


def default(column: Column, next_number: int) -> Value:
    """The value of a column that was not given: its next number, NULL where it may be, else 0 or the empty text."""
    if numbers_itself(column):
        return next_number
    if column.null or column.kind == "str":
        return no_value(column)
    return 0 if column.kind == "int" else 0.0


def holds(value: Value, op: str, wanted: Value) -> bool:
    """Whether a value meets a condition; NULL is only ever equal to NULL."""
    if wanted is None:
        return op in ("=", "!=") and (value is None) is (op == "=")
    if value is None:
        return False
    return COMPARE[op](value, wanted)


def fitting(value: bytes | int | float | datetime, column: Column) -> Value:
    """A value as its column has it. Raises DatabaseRefused.

    The file has one way to write NULL and the empty text: where a column allows NULL, they are one value.
    """
    try:
        if column.kind == "int":
            return seconds(value) if isinstance(value, datetime) else int(value)
        if column.kind == "double":
            return float(seconds(value) if isinstance(value, datetime) else value)
    except (ValueError, OverflowError) as error:
        raise DatabaseRefused(f"column {column.name}({column.kind}): {error}") from None
    if isinstance(value, datetime):
        return date_text(value).encode()
    text = value if isinstance(value, bytes) else str(value).encode()
    return text if text or not column.null else None
