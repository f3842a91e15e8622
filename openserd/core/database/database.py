"""A database as modules use it: operations that connect when needed, wait a bounded time and survive its absence.

Each process has a connection of its own, opened by the first operation.  An operation whose connection turns out to be
lost is tried once more on a new one, if the driver allows it and time is left.  When the database cannot be reached,
operations fail at once for a while; one process at a time tries whether it is back.  The log says both once.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Final, TypeVar

from openserd.core.database.breaker import Breaker
from openserd.core.database.driver import Connection, Driver, Lost
from openserd.core.database.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import Row, Value, Where, where
from openserd.core.database.writes import Write, apply_all
from openserd.errors import ConfigError

log = logging.getLogger("openserd")

R = TypeVar("R")

LIMIT: Final = 1.8  #: seconds that an operation may take, connecting included
LEAST: Final = 0.2  #: with less than this left nothing is tried again
VERSION_TABLE: Final = "version"


class Database:
    """One database; the same object in every process, each with its own connection.

    `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        driver: Driver,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.driver = driver
        self.breaker = breaker or Breaker()
        self.clock = clock
        self.expected: dict[str, int] = {}  #: table versions that have not been seen yet
        self._connection: Connection | None = None
        self._owner = 0
        self._used_at = 0.0
        self._in_transaction = False
        self._deadline = inf  #: monotonic seconds by which a transaction that somebody waits for must end

    # -- operations -----------------------------------------------------------------------------------------

    def query(self, table: str, columns: Sequence[str] = (), where: Where = (), order: str = "") -> list[Row]:
        """Rows that meet all conditions; all columns where none are named. Raises DatabaseError, as all do."""
        return self._do(lambda connection: connection.query(table, columns, where, order))

    def raw_query(self, text: str, values: Sequence[Value] = ()) -> list[Row]:
        """Runs a statement in the database's own language, each `?` outside of quotes standing for a value."""
        return self._do(lambda connection: connection.raw_query(text, values))

    def insert(self, table: str, row: Mapping[str, Value]) -> None:
        """Adds a row."""
        self._do(lambda connection: connection.insert(table, row))

    def insert_many(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        """Adds rows, all or none where the database can."""
        self._do(lambda connection: connection.insert_many(table, columns, rows))

    def update(self, table: str, changes: Mapping[str, Value], where: Where = ()) -> int:
        """Changes the rows that meet all conditions; how many those are."""
        return self._do(lambda connection: connection.update(table, changes, where))

    def replace(self, table: str, row: Mapping[str, Value], keys: Sequence[str]) -> None:
        """Changes the row that agrees with `row` in the columns `keys`; adds it where there is none, and leaves one
        where there are several."""
        self._do(lambda connection: connection.replace(table, row, keys))

    def delete(self, table: str, where: Where = ()) -> int:
        """Removes the rows that meet all conditions; how many those were."""
        return self._do(lambda connection: connection.delete(table, where))

    def tables(self) -> list[str]:
        """The names of all tables."""
        return self._do(lambda connection: connection.tables())

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns, none where there is no such table."""
        return self._do(lambda connection: connection.columns(table))

    def fetch(
        self, table: str, columns: Sequence[str] = (), where: Where = (), order: str = "", n_rows: int = 2000
    ) -> Iterator[list[Row]]:
        """The rows of `query`, at most `n_rows` at a time, for whole tables; nothing else may be asked meanwhile.

        A database that falls silent in the middle ends it with DatabaseUnavailable.
        """
        self._drop_if_dead()
        connection = self._connected(self.clock() + LIMIT)
        connection.limit(LIMIT)
        try:
            yield from connection.fetch(table, columns, where, order, n_rows)
        except Lost as lost:
            raise self._lost(lost) from None
        self._used_at = self.clock()

    # -- several changes together ---------------------------------------------------------------------------

    @contextmanager
    def transaction(self, *, patient: bool = False) -> Iterator[None]:
        """Operations in this block take effect together, or not at all where the database can.

        All of them share LIMIT; each has it for itself where `patient`, when no message waits for the outcome.
        A connection lost on the way ends it with DatabaseUnavailable: the caller decides whether to begin again.
        """
        assert not self._in_transaction, "transactions do not nest"
        self._deadline = inf if patient else self.clock() + LIMIT
        try:
            self._do(lambda connection: connection.begin())
            self._in_transaction = True
            try:
                yield
                self._do(lambda connection: connection.commit())
            except BaseException:
                self._undo()
                raise
        finally:
            self._in_transaction = False
            self._deadline = inf

    def write(self, writes: Sequence[Write], *, patient: bool = False) -> list[tuple[Write, DatabaseRefused]]:
        """Makes all changes in one transaction; answers those that the database refuses, each with its reason.

        A refused one does not keep the others from being written: the batch is halved until it stands alone.  With
        DatabaseUnavailable, nothing of what the database had not confirmed is written.  `patient`: see `transaction`.
        """
        if not writes:
            return []
        try:
            with self.transaction(patient=patient):
                self._do(lambda connection: apply_all(connection, writes))
        except DatabaseRefused as refused:
            if len(writes) == 1:
                return [(writes[0], refused)]
            middle = len(writes) // 2
            return self.write(writes[:middle], patient=patient) + self.write(writes[middle:], patient=patient)
        return []

    def _undo(self) -> None:
        """Rolls back as far as there is a connection left."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.rollback()
        except (Lost, DatabaseError):
            self._drop()

    # -- versions of tables ---------------------------------------------------------------------------------

    def table_version(self, table: str) -> int:
        """The version of a table's layout, 0 where the database tells none (OpenSER: table_version)."""
        rows = self.query(VERSION_TABLE, ("table_version",), where(table_name=table.encode()))
        found = rows[0][0] if rows else 0
        return found if isinstance(found, int) else 0

    def expect(self, table: str, version: int) -> None:
        """In the master, before the fork: the caller understands this version of `table`.

        Raises ConfigError where the database has another.  One that cannot be reached now does not keep the server
        from starting: it is asked when it is there.
        """
        self.expected[table] = version
        try:
            self._connected(self.clock() + LIMIT)
        except DatabaseUnavailable:
            return
        except DatabaseRefused as refused:
            raise ConfigError(str(refused), hint=self._hint()) from None
        finally:
            self.close()

    def _verify(self) -> None:
        """Compares the versions of tables that have not been seen yet. Raises DatabaseRefused."""
        awaited, self.expected = self.expected, {}
        try:
            for table, version in list(awaited.items()):
                found = self.table_version(table)
                if found != version:
                    raise DatabaseRefused(wrong_version(self.url, table, found, version))
                del awaited[table]
        finally:
            self.expected = awaited

    def _hint(self) -> str:
        """What puts tables right."""
        return f"openserdbctl --url {self.url} check tells more; create makes tables, upgrade brings them up to date"

    # -- the connection -------------------------------------------------------------------------------------

    def _do(self, operation: Callable[[Connection], R]) -> R:
        """Performs one operation. Raises DatabaseError."""
        deadline = min(self.clock() + LIMIT, self._deadline)
        connection = self._connected(deadline)
        try:
            result = operation(connection)
        except Lost as lost:
            if self._in_transaction or not self.driver.retries or deadline - self.clock() < LEAST:
                raise self._lost(lost) from None
        else:
            self._used_at = self.clock()
            return result
        self._drop()
        try:
            return operation(self._connected(deadline))
        except Lost as lost:
            raise self._lost(lost) from None

    def _connected(self, deadline: float) -> Connection:
        """This process's connection, made now where there is none. Raises DatabaseUnavailable."""
        now = self.clock()
        connection = self._connection
        if connection is not None and self._owner != os.getpid():
            connection.forget()
            connection = self._connection = None
            self._in_transaction = False
        if connection is not None and self._is_stale(connection, now):
            self._drop()
            connection = None
        if connection is None:
            connection = self._connect(now, deadline)
        connection.limit(max(LEAST, deadline - self.clock()))
        return connection

    def _is_stale(self, connection: Connection, now: float) -> bool:
        """Whether a connection that was silent for long does not answer any more."""
        idle = self.driver.idle_seconds
        if not idle or self._in_transaction or now - self._used_at < idle:
            return False
        connection.limit(LIMIT / 2)
        return not connection.is_alive()

    def _drop_if_dead(self) -> None:
        """Gives up a connection that does not answer, before something that cannot be begun again."""
        connection = self._connection
        if connection is None or self._in_transaction or self._owner != os.getpid():
            return
        connection.limit(LIMIT / 2)
        if not connection.is_alive():
            self._drop()

    def _connect(self, now: float, deadline: float) -> Connection:
        """A new connection. Raises DatabaseUnavailable."""
        if self._in_transaction:
            raise DatabaseUnavailable(f"{self.url}: the connection was lost in a transaction")
        if not self.breaker.may_try(int(now * 1000), int(LIMIT * 1000)):
            raise DatabaseUnavailable(f"{self.url} is not there")
        try:
            connection = self.driver.connect(self.url, max(LEAST, deadline - now))
        except Lost as lost:
            raise self._lost(lost) from None
        self._connection = connection
        self._owner = os.getpid()
        self._used_at = now
        if self.expected:
            self._verify_or_drop()
        if self.breaker.succeeded():
            log.warning("database %s is back", self.url)
        return connection

    def _verify_or_drop(self) -> None:
        """Keeps the connection only when its tables have the versions that are needed. Raises DatabaseRefused."""
        try:
            self._verify()
        except DatabaseRefused as refused:
            self._drop()
            if self.breaker.failed(int(self.clock() * 1000)):
                log.error("%s: %s", refused, self._hint())
            raise

    def _lost(self, lost: Lost) -> DatabaseUnavailable:
        """Notes that the database cannot be reached; the error to raise."""
        self._drop()
        if self.breaker.failed(int(self.clock() * 1000)):
            log.error("database %s is lost: %s", self.url, lost)
        return DatabaseUnavailable(f"{self.url}: {lost}")

    def _drop(self) -> None:
        """Gives up a connection that is of no use."""
        if self._connection is not None:
            self._connection.forget()
            self._connection = None

    def close(self) -> None:
        """Closes this process's connection; the next operation opens another."""
        if self._connection is not None and self._owner == os.getpid():
            self._connection.close()
        self._connection = None


def wrong_version(url: DatabaseUrl, table: str, found: int, version: int) -> str:
    """What is wrong with a table."""
    if not found:
        return f"{url} has no version for table {table}, {version} is needed: the table may be missing"
    return f"table {table} of {url} has version {found}, {version} is needed"
