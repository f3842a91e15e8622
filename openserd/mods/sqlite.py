"""sqlite: databases in a file, with nothing to install; no module of OpenSER 1.2.

Every process opens the file for itself.  Readers never wait (write-ahead log), one process writes at a time.  Text is
stored as text, byte for byte, whether it is UTF-8 or not.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from openserd.core.database.driver import Lost
from openserd.core.database.errors import DatabaseBusy, DatabaseError, DatabaseRefused
from openserd.core.database.module import DriverModule
from openserd.core.database.sql import SqlConnection
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import Row, Value, date_text, date_value
from openserd.core.module import between, param

#: Primary result codes (the low byte) by what they mean for us.
BUSY_CODES: Final = frozenset((
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT,
))  # fmt: skip
LOST_CODES: Final = frozenset(
    (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PROTOCOL)
)

for declared in ("datetime", "timestamp", "date"):
    sqlite3.register_converter(declared, date_value)

INHERITED: Final[list[sqlite3.Connection]] = []  #: kept open for ever

Bound = str | bytes | int | float | None


class Sqlite(DriverModule):
    """The driver for URLs that begin with sqlite, such as sqlite:////var/lib/openser/openser.db."""

    name = "sqlite"

    synchronous: int = param(1, check=between(0, 3))  #: 1: a change survives the server's death, 2: the machine's too

    def connect(self, url: DatabaseUrl, timeout: float) -> "SqliteConnection":
        """Opens the file, which must be there. Raises Lost."""
        try:
            return SqliteConnection(url.path, timeout, self.synchronous)
        except sqlite3.Error as error:
            hint = "" if os.path.exists(url.path) else " (openserdbctl create makes it)"
            raise Lost(f"{error}{hint}") from None


class SqliteConnection(SqlConnection):
    """An open file."""

    kind = "sqlite"
    quotes = "`"  #: in double quotes a name that no column has would be taken for a text

    def __init__(self, path: str, timeout: float, synchronous: int = 1, create: bool = False) -> None:
        super().__init__()
        address = f"file:{quoted(path)}?mode={'rwc' if create else 'rw'}"
        self.raw = sqlite3.connect(
            address, timeout, sqlite3.PARSE_DECLTYPES, None, check_same_thread=False, uri=True, cached_statements=256
        )
        self.raw.text_factory = bytes
        self.owner = os.getpid()
        self.timeout_ms = int(timeout * 1000)
        self.raw.execute("PRAGMA journal_mode=WAL").fetchone()
        self.raw.execute(f"PRAGMA synchronous={synchronous}")
        self.raw.execute("PRAGMA foreign_keys=ON")

    def limit(self, seconds: float) -> None:
        """Bounds the wait for another process's transaction, if that changes by more than a tenth of a second."""
        wanted = int(seconds * 1000)
        if abs(wanted - self.timeout_ms) > 100:
            self.raw.execute(f"PRAGMA busy_timeout={wanted}")
            self.timeout_ms = wanted

    def select(self, statement: str, values: Sequence[Value]) -> list[Row]:
        """Runs a statement that has a result."""
        with translated():
            return self.execute(statement, values).fetchall()

    def change(self, statement: str, values: Sequence[Value]) -> int:
        """Runs a statement that changes rows."""
        with translated():
            return self.execute(statement, values).rowcount

    def execute(self, statement: str, values: Sequence[Value]) -> sqlite3.Cursor:
        """Runs a statement; errors are sqlite3's."""
        bound = [bind(value) for value in values]
        if any(isinstance(value, bytes) for value in bound):
            statement = with_casts(statement, bound)
        return self.raw.execute(statement, bound)

    def change_many(self, statement: str, rows: Sequence[Sequence[Value]]) -> None:
        """Runs a statement for each row, all or none."""
        with translated(), self.together():
            plain = [[bind(value) for value in row] for row in rows]
            if any(isinstance(value, bytes) for row in plain for value in row):
                for row in rows:
                    self.execute(statement, row)
            else:
                self.raw.executemany(statement, plain)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A transaction of its own, where there is none."""
        if self.raw.in_transaction:
            yield
            return
        self.raw.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.raw.rollback()
            raise
        self.raw.commit()

    def stream(self, statement: str, values: Sequence[Value], n_rows: int) -> Iterator[list[Row]]:
        """Rows as they are read."""
        with translated():
            cursor = self.execute(statement, values)
            while rows := cursor.fetchmany(n_rows):
                yield rows

    def raw_query(self, text: str, values: Sequence[Value] = ()) -> list[Row]:
        """Runs a statement as it is."""
        return self.select(text, values)

    def begin(self) -> None:
        """Begins a transaction that may write."""
        with translated():
            self.raw.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Ends it."""
        with translated():
            self.raw.commit()

    def rollback(self) -> None:
        """Undoes it."""
        with translated():
            self.raw.rollback()

    def tables(self) -> list[str]:
        """The names of all tables."""
        rows = self.select("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'", ())
        return sorted(row[0].decode() for row in rows if isinstance(row[0], bytes))

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns."""
        rows = self.select(f"PRAGMA table_info({self.name(table)})", ())
        return [row[1].decode() for row in rows if isinstance(row[1], bytes)]

    def close(self) -> None:
        """Closes the file."""
        with contextlib.suppress(sqlite3.Error):
            self.raw.close()

    def forget(self) -> None:
        """Closes the file, unless the parent process opened it: what it holds is not for a child to tidy up."""
        if self.owner == os.getpid():
            self.close()
        else:
            INHERITED.append(self.raw)


def quoted(path: str) -> str:
    """A path as part of an URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def bind(value: Value) -> Bound:
    """A value as sqlite3 takes it: text as str where it is UTF-8, else as bytes."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return date_text(value) if isinstance(value, datetime) else value


def with_casts(statement: str, bound: Sequence[Bound]) -> str:
    """A statement whose values that are no UTF-8 become text in the database; our own statements quote no `?`."""
    parts = statement.split("?")
    if len(parts) != len(bound) + 1:
        return statement
    marks = ["CAST(? AS TEXT)" if isinstance(value, bytes) else "?" for value in bound]
    return parts[0] + "".join(mark + part for mark, part in zip(marks, parts[1:], strict=True))


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Errors of sqlite3 as our own."""
    try:
        yield
    except sqlite3.Error as error:
        raise own_error(error) from None
    except OverflowError as error:
        raise DatabaseRefused(str(error)) from None


def own_error(error: sqlite3.Error) -> DatabaseError | Lost:
    """What an error of sqlite3 means."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in LOST_CODES:
        return Lost(str(error))
    if code in BUSY_CODES:
        return DatabaseBusy(str(error))
    return DatabaseRefused(str(error))
