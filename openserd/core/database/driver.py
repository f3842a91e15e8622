"""What a driver module provides: connections, each with OpenSER's operations as far as the database has them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from openserd.core.database.errors import DatabaseRefused
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import Condition, Row, Value, Where


class Lost(Exception):
    """Raised by connections and drivers: this connection is of no use any more, or could not be made."""


class Connection(ABC):
    """One open connection, used by the process that opened it.

    Every operation may raise `Lost`, DatabaseRefused or DatabaseBusy.  Those that a database does not have raise
    DatabaseRefused.
    """

    kind = "database"

    def limit(self, seconds: float) -> None:  # noqa: B027 - doing nothing is right for some
        """From now on no single wait for the database takes longer."""

    @abstractmethod
    def insert(self, table: str, row: Mapping[str, Value]) -> None:
        """Adds a row."""

    def insert_many(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        """Adds rows, all or none where the database can."""
        for row in rows:
            self.insert(table, dict(zip(columns, row, strict=True)))

    def query(self, table: str, columns: Sequence[str] = (), where: Where = (), order: str = "") -> list[Row]:
        """Rows that meet all conditions; all columns where none are named."""
        raise self.lacks("query")

    def fetch(
        self, table: str, columns: Sequence[str] = (), where: Where = (), order: str = "", n_rows: int = 2000
    ) -> Iterator[list[Row]]:
        """The rows of `query`, at most `n_rows` at a time (OpenSER: fetch_result)."""
        found = self.query(table, columns, where, order)
        for start in range(0, len(found), n_rows):
            yield found[start : start + n_rows]

    def raw_query(self, text: str, values: Sequence[Value] = ()) -> list[Row]:
        """Runs a statement in the database's own language, each `?` outside of quotes standing for a value."""
        raise self.lacks("raw_query")

    def update(self, table: str, changes: Mapping[str, Value], where: Where = ()) -> int:
        """Changes the rows that meet all conditions; how many those are."""
        raise self.lacks("update")

    def delete(self, table: str, where: Where = ()) -> int:
        """Removes the rows that meet all conditions; how many those were."""
        raise self.lacks("delete")

    def replace(self, table: str, row: Mapping[str, Value], keys: Sequence[str]) -> None:
        """Changes the row that agrees with `row` in the columns `keys`; adds it where there is none, and leaves one
        where there are several."""
        found = [Condition(key, row[key]) for key in keys]
        n_changed = self.update(table, row, found)
        if n_changed > 1:
            self.delete(table, found)
        if n_changed != 1:
            self.insert(table, row)

    def begin(self) -> None:
        """What follows takes effect at `commit`, all of it or nothing where the database can."""
        raise self.lacks("transactions")

    def commit(self) -> None:  # noqa: B027 - doing nothing is right for some
        """Ends what `begin` began."""

    def rollback(self) -> None:  # noqa: B027 - doing nothing is right for some
        """Undoes what happened since `begin`."""

    def tables(self) -> list[str]:
        """The names of all tables."""
        raise self.lacks("tables")

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns, none where there is no such table."""
        raise self.lacks("columns")

    def is_alive(self) -> bool:
        """Whether the database still answers."""
        return True

    @abstractmethod
    def close(self) -> None:
        """Says goodbye."""

    def forget(self) -> None:  # noqa: B027 - doing nothing is right for some
        """Drops a connection that is lost, or the parent process's, without a word to the database."""

    def lacks(self, operation: str) -> DatabaseRefused:
        """The error for an operation that the database does not have."""
        return DatabaseRefused(f"{self.kind} cannot do this: {operation}")


class Driver(Protocol):
    """Makes connections to databases of one scheme."""

    @property
    def retries(self) -> bool:
        """Whether an operation whose connection was lost is tried again on a new one."""

    @property
    def idle_seconds(self) -> int:
        """After how much silence a connection is tried before it is used; 0: never."""

    def connect(self, url: DatabaseUrl, timeout: float) -> Connection:
        """A new connection within `timeout` seconds. Raises Lost."""
