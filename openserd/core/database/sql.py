"""OpenSER's operations as SQL: what the drivers of SQL databases have in common.

Names are checked and quoted, values always travel beside the statement.  A statement is put together once for each
table, columns and comparisons, then found by them (1 us).
"""

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from openserd.core.database.driver import Connection
from openserd.core.database.values import Row, Value, Where, check_name, check_operator

MAX_STATEMENTS: Final = 1000
#: Quoted parts, `?` and `%` of a statement; in some databases a backslash hides a quote.
PARTS: Final = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\?|%")
PARTS_WITH_BACKSLASHES: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|\?|%", re.S)


class SqlConnection(Connection):
    """A connection that speaks SQL; a driver adds how statements are run."""

    rows_at_once = 1  #: rows that one INSERT carries, 1 where the driver joins them itself
    mark = "?"  #: what stands for a value in a statement
    quotes = '"'

    def __init__(self) -> None:
        self.statements: dict[object, str] = {}

    # -- what a driver adds ---------------------------------------------------------------------------------

    @abstractmethod
    def select(self, statement: str, values: Sequence[Value]) -> list[Row]:
        """Runs a statement that has a result."""

    @abstractmethod
    def change(self, statement: str, values: Sequence[Value]) -> int:
        """Runs a statement that changes rows; how many it found."""

    @abstractmethod
    def change_many(self, statement: str, rows: Sequence[Sequence[Value]]) -> None:
        """Runs a statement for each row of values, all or none."""

    @abstractmethod
    def stream(self, statement: str, values: Sequence[Value], n_rows: int) -> Iterator[list[Row]]:
        """Runs a statement whose result is too large to hold."""

    # -- operations -----------------------------------------------------------------------------------------

    def query(self, table: str, columns: Sequence[str] = (), where: Where = (), order: str = "") -> list[Row]:
        """SELECT."""
        return self.select(self.select_text(table, columns, where, order), values_of(where))

    def fetch(
        self, table: str, columns: Sequence[str] = (), where: Where = (), order: str = "", n_rows: int = 2000
    ) -> Iterator[list[Row]]:
        """SELECT, some rows at a time."""
        return self.stream(self.select_text(table, columns, where, order), values_of(where), n_rows)

    def insert(self, table: str, row: Mapping[str, Value]) -> None:
        """INSERT."""
        self.change(self.insert_text(table, tuple(row)), tuple(row.values()))

    def insert_many(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        """INSERT of rows, all or none."""
        n = self.rows_at_once
        if not rows:
            return
        if n == 1 or len(rows) == 1:
            self.change_many(self.insert_text(table, tuple(columns)), rows)
            return
        whole = len(rows) // n * n
        if whole:
            joined = [[value for row in rows[start : start + n] for value in row] for start in range(0, whole, n)]
            self.change_many(self.insert_text(table, tuple(columns), n), joined)
        if whole < len(rows):
            rest = [value for row in rows[whole:] for value in row]
            self.change_many(self.insert_text(table, tuple(columns), len(rows) - whole), [rest])

    def update(self, table: str, changes: Mapping[str, Value], where: Where = ()) -> int:
        """UPDATE."""
        return self.change(
            self.update_text(table, tuple(changes), where), (*changes.values(), *values_of(where))
        )  # fmt: skip

    def delete(self, table: str, where: Where = ()) -> int:
        """DELETE."""
        key = ("delete", table, shape(where))
        text = self.statements.get(key)
        if text is None:
            text = self.remember(key, f"DELETE FROM {self.name(table)}{self.conditions(where)}")
        return self.change(text, values_of(where))

    # -- their text -----------------------------------------------------------------------------------------

    def select_text(self, table: str, columns: Sequence[str], where: Where, order: str) -> str:
        """The statement of a query."""
        key = ("select", table, tuple(columns), shape(where), order)
        text = self.statements.get(key)
        if text is None:
            wanted = ",".join(map(self.name, columns)) or "*"
            ordered = f" ORDER BY {self.name(order)}" if order else ""
            text = f"SELECT {wanted} FROM {self.name(table)}{self.conditions(where)}{ordered}"
            self.remember(key, text)
        return text

    def insert_text(self, table: str, columns: tuple[str, ...], n_rows: int = 1) -> str:
        """The statement that adds rows."""
        key = ("insert", table, columns, n_rows)
        text = self.statements.get(key)
        if text is None:
            names = ",".join(map(self.name, columns))
            marks = ",".join([f"({','.join([self.mark] * len(columns))})"] * n_rows)
            text = self.remember(key, f"INSERT INTO {self.name(table)} ({names}) VALUES {marks}")
        return text

    def update_text(self, table: str, columns: tuple[str, ...], where: Where) -> str:
        """The statement that changes rows."""
        key = ("update", table, columns, shape(where))
        text = self.statements.get(key)
        if text is None:
            changes = ",".join(f"{self.name(column)}={self.mark}" for column in columns)
            text = self.remember(key, f"UPDATE {self.name(table)} SET {changes}{self.conditions(where)}")
        return text

    def conditions(self, where: Where) -> str:
        """The WHERE of a statement, with a blank before it."""
        return f" WHERE {' AND '.join(map(self.condition, where))}" if where else ""

    def condition(self, one: tuple[str, Value, str]) -> str:
        """One comparison; nothing is compared with NULL by an operator of its own."""
        column, value, op = one
        if value is None and check_operator(op) in ("=", "!="):
            return f"{self.name(column)} IS {'' if op == '=' else 'NOT '}NULL"
        return f"{self.name(column)}{check_operator(op)}{self.mark}"

    def name(self, name: str) -> str:
        """A name of a table or column in quotes."""
        return f"{self.quotes}{check_name(name)}{self.quotes}"

    def remember(self, key: object, text: str) -> str:
        """Keeps the text of a statement."""
        if len(self.statements) >= MAX_STATEMENTS:
            self.statements.clear()
        self.statements[key] = text
        return text


def shape(where: Where) -> tuple[tuple[str, str, bool], ...]:
    """What the text of conditions depends on."""
    return tuple((one.column, one.op, one.value is None) for one in where)


def values_of(where: Where) -> list[Value]:
    """The values that conditions send along."""
    return [one.value for one in where if one.value is not None or one.op not in ("=", "!=")]


def with_marks(text: str, mark: str, parts: re.Pattern[str] = PARTS) -> str:
    """A statement written with `?` for values, as a driver with another mark wants it."""

    def changed(found: re.Match[str]) -> str:
        part = found[0]
        return mark if part == "?" else part.replace("%", "%%")

    return parts.sub(changed, text)
