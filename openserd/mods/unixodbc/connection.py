"""A connection through the ODBC driver manager."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import pyodbc

from openserd.core.database.driver import Lost
from openserd.core.database.errors import DatabaseBusy, DatabaseError, DatabaseRefused
from openserd.core.database.sql import SqlConnection
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import Row, Value, moment
from openserd.mods.unixodbc.watch import open_sockets, watch

LOST_CLASSES: Final = frozenset(("08",))
LOST_STATES: Final = frozenset(("HYT00", "HYT01", "01002", "57P01", "57P02", "57P03"))
LOST_WORDS: Final = (
    "gone away", "lost connection", "server has closed", "server closed", "connection was killed", "not connected",
    "no connection", "connection reset", "broken pipe", "could not receive data", "could not send",
)  # fmt: skip
BUSY_CLASSES: Final = frozenset(("40", "53", "55"))
BUSY_WORDS: Final = ("database is locked", "disk is full", "lock wait timeout", "deadlock")
MYSQL_PRODUCTS: Final = ("mysql", "mariadb")


class OdbcConnection(SqlConnection):
    """A connection through the driver manager."""

    kind = "unixodbc"
    rows_at_once = 50

    def __init__(self, url: DatabaseUrl, timeout: float) -> None:
        super().__init__()
        whole = max(1, round(timeout))
        before = open_sockets()
        self.seconds = timeout
        watch().begin(time.monotonic() + timeout, frozenset(), before)
        try:
            self.raw = pyodbc.connect(connection_text(url), autocommit=True, timeout=whole)
        finally:
            watch().end()
        self.owner = os.getpid()
        self.sockets = open_sockets() - before
        self.raw.setencoding("latin-1", ctype=pyodbc.SQL_CHAR)
        self.raw.setdecoding(pyodbc.SQL_CHAR, encoding="latin-1", ctype=pyodbc.SQL_CHAR)
        self.raw.setdecoding(pyodbc.SQL_WCHAR, encoding="latin-1", ctype=pyodbc.SQL_CHAR)
        self.product = str(self.raw.getinfo(pyodbc.SQL_DBMS_NAME)).lower()
        self.is_mysql = self.product.startswith(MYSQL_PRODUCTS)
        self.quotes = "`" if self.is_mysql or "sqlite" in self.product else '"'
        self.agree()

    def agree(self) -> None:
        """Has the servers that are known convert no text and wait for no lock."""
        if self.is_mysql:
            found = self.raw.execute("SELECT @@character_set_database").fetchall()[0][0]
            names = ("character_set_client", "character_set_results", "character_set_connection")
            self.raw.execute("SET " + ", ".join(f"{name}={found}" for name in names))
            self.raw.execute("SET SESSION innodb_lock_wait_timeout=1")
        elif self.product.startswith("postgres"):
            self.raw.execute("SET client_encoding = 'SQL_ASCII'")
            self.raw.execute("SET lock_timeout = 1000")

    def limit(self, seconds: float) -> None:
        """Bounds every call into the driver."""
        self.seconds = seconds

    @contextlib.contextmanager
    def bounded(self) -> Iterator[None]:
        """A call into the driver: bounded, its errors as our own."""
        guard = watch()
        guard.begin(time.monotonic() + self.seconds, self.sockets)
        try:
            yield
        except pyodbc.Error as error:
            raise own_error(error) from None
        finally:
            guard.end()

    def name(self, name: str) -> str:
        """A name in the quotes of the database behind the driver."""
        return super().name(name.lower() if self.product.startswith("postgres") else name)

    def execute(self, statement: str, values: Sequence[Value]) -> "pyodbc.Cursor":
        """Runs a statement; errors are pyodbc's."""
        return self.raw.execute(statement, self.bind(values))

    def bind(self, values: Sequence[Value]) -> list[object]:
        """Values as pyodbc takes them, one character a byte. Raises DatabaseRefused for a byte 0 that would cut one."""
        if not self.is_mysql and any(isinstance(value, bytes) and b"\0" in value for value in values):
            raise DatabaseRefused("a text with the byte 0")
        return [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]

    def select(self, statement: str, values: Sequence[Value]) -> list[Row]:
        """Runs a statement that may have a result."""
        with self.bounded():
            cursor = self.execute(statement, values)
            return own_rows(cursor.fetchall()) if cursor.description else []

    def change(self, statement: str, values: Sequence[Value]) -> int:
        """Runs a statement that changes rows."""
        with self.bounded():
            return int(self.execute(statement, values).rowcount)

    def change_many(self, statement: str, rows: Sequence[Sequence[Value]]) -> None:
        """Runs a statement for each row, all or none."""
        with self.bounded(), self.together():
            self.raw.cursor().executemany(statement, [self.bind(row) for row in rows])

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A transaction of its own, where there is none."""
        if not self.raw.autocommit:
            yield
            return
        self.raw.autocommit = False
        try:
            yield
            self.raw.commit()
        except BaseException:
            with contextlib.suppress(pyodbc.Error):
                self.raw.rollback()
            raise
        finally:
            with contextlib.suppress(pyodbc.Error):
                self.raw.autocommit = True

    def stream(self, statement: str, values: Sequence[Value], n_rows: int) -> Iterator[list[Row]]:
        """Rows as the driver gives them."""
        with self.bounded():
            cursor = self.execute(statement, values)
            while rows := cursor.fetchmany(n_rows):
                yield own_rows(rows)

    def raw_query(self, text: str, values: Sequence[Value] = ()) -> list[Row]:
        """Runs a statement as it is."""
        return self.select(text, values)

    def replace(self, table: str, row: Mapping[str, Value], keys: Sequence[str]) -> None:
        """Changes or adds a row, one in the place of several; MySQL reports an unchanged row as not found, hence the
        look first."""
        found = [(key, row[key], "=") for key in keys]
        conditions = "".join(f" AND {self.condition(one)}" for one in found)
        text = f"SELECT 1 FROM {self.name(table)} WHERE 1=1{conditions}"
        values = [value for _, value, _ in found if value is not None]
        n_found = len(self.select(text, values))
        if n_found == 1:
            text = self.update_text(table, tuple(row), ()) + f" WHERE 1=1{conditions}"
            self.change(text, [*row.values(), *values])
            return
        if n_found:
            self.change(f"DELETE FROM {self.name(table)} WHERE 1=1{conditions}", values)
        self.insert(table, row)

    def begin(self) -> None:
        """Begins a transaction."""
        with self.bounded():
            self.raw.autocommit = False

    def commit(self) -> None:
        """Ends it."""
        with self.bounded():
            self.raw.commit()
            self.raw.autocommit = True

    def rollback(self) -> None:
        """Undoes it."""
        with self.bounded():
            self.raw.rollback()
            self.raw.autocommit = True

    def tables(self) -> list[str]:
        """The names of all tables."""
        with self.bounded():
            return sorted(str(row.table_name) for row in self.raw.cursor().tables(tableType="TABLE").fetchall())

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns."""
        with self.bounded():
            return [str(row.column_name) for row in self.raw.cursor().columns(table=table).fetchall()]

    def is_alive(self) -> bool:
        """Whether a statement gets through."""
        try:
            self.select("SELECT 1", ())
        except (Lost, DatabaseError):
            return False
        return True

    def close(self) -> None:
        """Says goodbye."""
        with contextlib.suppress(pyodbc.Error):
            self.raw.close()

    def forget(self) -> None:
        """Closes the connection, unless it is the parent process's: ODBC knows no way to drop one silently."""
        if self.owner == os.getpid():
            self.close()
        else:
            INHERITED.append(self.raw)


INHERITED: Final[list[Any]] = []  #: connections that are not ours to close


def connection_text(url: DatabaseUrl) -> str:
    """What the driver manager is told: a data source, a user and a password."""
    parts = {"DSN": url.database, "UID": url.user, "PWD": url.password}
    return ";".join(f"{key}={braced(value)}" for key, value in parts.items() if value)


def braced(value: str) -> str:
    """A value that may hold `;`."""
    return "{" + value.replace("}", "}}") + "}" if any(char in value for char in ";{}=") else value


def own(value: Any) -> Value:
    """A value as openserd has it."""
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, bytearray):
        return bytes(value)
    return value if isinstance(value, Value) else moment(0)


def own_rows(rows: Sequence[Any]) -> list[Row]:
    """Rows as openserd has them."""
    return [tuple(map(own, row)) for row in rows]


def own_error(error: "pyodbc.Error") -> DatabaseError | Lost:
    """What an error of a driver means: by its SQLSTATE, else by its words."""
    state = str(error.args[0]) if error.args else ""
    words = explained(error)
    lowered = words.lower()
    if state[:2] in LOST_CLASSES or state in LOST_STATES or any(word in lowered for word in LOST_WORDS):
        return Lost(words)
    if state[:2] in BUSY_CLASSES or any(word in lowered for word in BUSY_WORDS):
        return DatabaseBusy(words)
    return DatabaseRefused(words)


def explained(error: Exception) -> str:
    """The words of an error."""
    return str(error.args[-1]) if error.args else type(error).__name__
