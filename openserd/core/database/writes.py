"""Changes as values: what a module has put off, to be written together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from openserd.core.database.driver import Connection
from openserd.core.database.values import Value, Where


class Write(Protocol):
    """One change to a database."""

    def apply(self, connection: Connection) -> None:
        """Makes the change."""


@dataclass(frozen=True, slots=True)
class Insert:
    """A row to be added."""

    table: str
    row: Mapping[str, Value]

    def apply(self, connection: Connection) -> None:
        """Makes the change."""
        connection.insert(self.table, self.row)


@dataclass(frozen=True, slots=True)
class Update:
    """Rows to be changed."""

    table: str
    changes: Mapping[str, Value]
    where: Where

    def apply(self, connection: Connection) -> None:
        """Makes the change."""
        connection.update(self.table, self.changes, self.where)


@dataclass(frozen=True, slots=True)
class Replace:
    """A row to be changed, or added where it is not there."""

    table: str
    row: Mapping[str, Value]
    keys: Sequence[str]

    def apply(self, connection: Connection) -> None:
        """Makes the change."""
        connection.replace(self.table, self.row, self.keys)


@dataclass(frozen=True, slots=True)
class Delete:
    """Rows to be removed."""

    table: str
    where: Where

    def apply(self, connection: Connection) -> None:
        """Makes the change."""
        connection.delete(self.table, self.where)


def apply_all(connection: Connection, writes: Sequence[Write]) -> None:
    """Makes all changes in their order; neighbouring rows for the same columns go together."""
    start = 0
    while start < len(writes):
        first = writes[start]
        end = start + 1
        if isinstance(first, Insert):
            end = end_of_run(writes, start)
        if end - start > 1 and isinstance(first, Insert):
            rows = [tuple(one.row.values()) for one in writes[start:end] if isinstance(one, Insert)]
            connection.insert_many(first.table, tuple(first.row), rows)
        else:
            first.apply(connection)
        start = end


def end_of_run(writes: Sequence[Write], start: int) -> int:
    """The end of the rows from `start` on that go into the same columns of one table."""
    first = writes[start]
    assert isinstance(first, Insert)
    columns = tuple(first.row)
    end = start + 1
    while end < len(writes):
        one = writes[end]
        if not isinstance(one, Insert) or one.table != first.table or tuple(one.row) != columns:
            break
        end += 1
    return end
