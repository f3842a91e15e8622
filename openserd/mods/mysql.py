"""mysql: databases on MySQL and MariaDB servers (OpenSER: modules/mysql).

Text passes through byte for byte: the connection speaks the character set of its database, so that the server converts
nothing, compares as its columns say and uses its indexes.  Only where that set could hide a quotation mark in a longer
character (gbk, sjis and the like) the connection speaks utf8mb4.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pymysql
from pymysql.constants import CLIENT, FIELD_TYPE
from pymysql.converters import decoders
from pymysql.cursors import Cursor, SSCursor

from openserd.core.database.driver import Lost
from openserd.core.database.errors import DatabaseBusy, DatabaseError, DatabaseRefused
from openserd.core.database.module import DriverModule
from openserd.core.database.sql import PARTS_WITH_BACKSLASHES, SqlConnection, with_marks
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import Row, Value, date_value
from openserd.core.module import not_negative, param

SOCKETS: Final = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")
LOST_CODES: Final = frozenset((1053, 1152, 1153, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 4031))
BUSY_CODES: Final = frozenset((1021, 1023, 1026, 1041, 1114, 1180, 1205, 1213, 1290, 1792, 1836))
SAFE_CHARSETS: Final = frozenset((
    "ascii", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "greek", "hebrew", "koi8r",
    "koi8u", "latin1", "latin2", "latin5", "latin7", "utf8", "utf8mb3", "utf8mb4",
))  # fmt: skip
#: Written into the session: what waits for a lock must not wait longer than this server does.
SESSION: Final = "SET SESSION innodb_lock_wait_timeout=1"
DATES: Final = (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATE)


class MySql(DriverModule):
    """The driver for URLs that begin with mysql."""

    name = "mysql"

    ping_interval: int = param(300, check=not_negative)  #: seconds of silence before a connection is tried, 0 never
    auto_reconnect: int = param(1)  #: 1: a statement whose connection was lost is sent again on a new one

    @property
    def retries(self) -> bool:
        """Whether a statement is sent again."""
        return bool(self.auto_reconnect)

    @property
    def idle_seconds(self) -> int:
        """Seconds of silence after which a connection is tried."""
        return self.ping_interval

    def connect(self, url: DatabaseUrl, timeout: float) -> "MySqlConnection":
        """A new connection. Raises Lost."""
        try:
            return MySqlConnection(url, timeout)
        except (pymysql.Error, OSError) as error:
            raise Lost(explained(error)) from None


def number(text: bytes) -> float:
    """A DECIMAL as a number."""
    return float(text)


CONVERTERS: Final[dict[Any, Any]] = {
    **pymysql.converters.encoders,
    **{kind: decoders[kind] for kind in (FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG,
                                         FIELD_TYPE.INT24, FIELD_TYPE.YEAR, FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE)},
    FIELD_TYPE.DECIMAL: number,
    FIELD_TYPE.NEWDECIMAL: number,
    **dict.fromkeys(DATES, date_value),
}  # fmt: skip


class MySqlConnection(SqlConnection):
    """A connection to a MySQL server; PyMySQL puts the values, escaped, into the statement."""

    kind = "mysql"
    mark = "%s"
    quotes = "`"

    def __init__(self, url: DatabaseUrl, timeout: float) -> None:
        super().__init__()
        self.raw = pymysql.Connection(
            **address(url),
            user=url.user,
            password=url.password,
            database=url.database or None,
            charset="utf8mb4",
            use_unicode=False,
            conv=CONVERTERS,
            client_flag=CLIENT.FOUND_ROWS,
            autocommit=True,
            connect_timeout=timeout,
            read_timeout=timeout,
            write_timeout=timeout,
            init_command=SESSION,
        )
        self.speak_its_charset()

    def speak_its_charset(self) -> None:
        """Agrees with the server that nothing is converted."""
        found = self.raw_rows("SELECT @@character_set_database")[0][0]
        charset = found.decode() if isinstance(found, bytes) else ""
        self.raw_rows(f"SET NAMES {charset if charset in SAFE_CHARSETS else 'utf8mb4'}")
        self.raw.encoding = "latin-1"  # one character a byte, so that PyMySQL's own escaping works on bytes

    def raw_rows(self, statement: str) -> list[Row]:
        """Runs a statement as it is; errors are PyMySQL's."""
        with self.raw.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def limit(self, seconds: float) -> None:
        """Bounds every read and write of the socket."""
        self.raw._read_timeout = self.raw._write_timeout = seconds

    def select(self, statement: str, values: Sequence[Value]) -> list[Row]:
        """Runs a statement that has a result."""
        with translated(), self.raw.cursor() as cursor:
            cursor.execute(statement, bound(values))
            return list(cursor.fetchall())

    def change(self, statement: str, values: Sequence[Value]) -> int:
        """Runs a statement that changes rows."""
        with translated(), self.raw.cursor() as cursor:
            return int(cursor.execute(statement, bound(values)))

    def change_many(self, statement: str, rows: Sequence[Sequence[Value]]) -> None:
        """Many rows in one statement: all or none."""
        with translated(), self.raw.cursor() as cursor, self.together():
            cursor.executemany(statement, [bound(row) for row in rows])

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A transaction of its own, where there is none."""
        if self.raw.server_status & 1:  # SERVER_STATUS_IN_TRANS
            yield
            return
        self.raw.begin()
        try:
            yield
        except pymysql.Error:
            with contextlib.suppress(pymysql.Error, OSError):
                self.raw.rollback()
            raise
        self.raw.commit()

    def stream(self, statement: str, values: Sequence[Value], n_rows: int) -> Iterator[list[Row]]:
        """Rows as they arrive from the server."""
        with translated():
            cursor: Cursor = self.raw.cursor(SSCursor)
            try:
                cursor.execute(statement, bound(values))
                while rows := cursor.fetchmany(n_rows):
                    yield list(rows)
            finally:
                with contextlib.suppress(pymysql.Error, OSError):
                    cursor.close()

    def raw_query(self, text: str, values: Sequence[Value] = ()) -> list[Row]:
        """Runs a statement as it is."""
        return self.select(with_marks(text, self.mark, PARTS_WITH_BACKSLASHES) if values else text, values)

    def replace(self, table: str, row: Mapping[str, Value], keys: Sequence[str]) -> None:
        """Changes or adds a row; a second process that adds it first makes this one change it."""
        try:
            super().replace(table, row, keys)
        except DatabaseRefused:
            super().replace(table, row, keys)

    def begin(self) -> None:
        """Begins a transaction."""
        with translated():
            self.raw.begin()

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
        return sorted(named(row) for row in self.select("SHOW TABLES", ()))

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns."""
        statement = (
            "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE() AND table_name=%s"
            " ORDER BY ordinal_position"
        )
        return [named(row) for row in self.select(statement, (table.encode(),))]

    def is_alive(self) -> bool:
        """Whether the server answers a ping."""
        try:
            self.raw.ping(reconnect=False)
        except (pymysql.Error, OSError):
            return False
        return True

    def close(self) -> None:
        """Says goodbye."""
        with contextlib.suppress(pymysql.Error, OSError):
            self.raw.close()

    def forget(self) -> None:
        """Closes the socket without the word that would end the parent's session."""
        self.raw._force_close()


def bound(values: Sequence[Value]) -> list[object] | None:
    """Values as PyMySQL takes them: text as str of one character a byte, which it writes as an ordinary literal."""
    return [value.decode("latin-1") if isinstance(value, bytes) else value for value in values] or None


def address(url: DatabaseUrl) -> dict[str, Any]:
    """Where the server is: `localhost` without a port is its socket, as for every client of MySQL."""
    if url.host == "localhost" and not url.port:
        for path in SOCKETS:
            if os.path.exists(path):
                return {"unix_socket": path}
    return {"host": url.host, "port": url.port or 3306}


def named(row: Row) -> str:
    """The first value of a row as a name."""
    return row[0].decode() if isinstance(row[0], bytes) else str(row[0])


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Errors of PyMySQL as our own."""
    try:
        yield
    except pymysql.Error as error:
        raise own_error(error) from None
    except OSError as error:
        raise Lost(str(error)) from None


def own_error(error: pymysql.Error) -> DatabaseError | Lost:
    """What an error of PyMySQL means."""
    code = error.args[0] if error.args else 0
    if code in LOST_CODES or isinstance(error, pymysql.InterfaceError) or not isinstance(code, int):
        return Lost(explained(error))
    if code in BUSY_CODES:
        return DatabaseBusy(explained(error))
    return DatabaseRefused(explained(error))


def explained(error: Exception) -> str:
    """The words of an error."""
    return str(error.args[-1]) if error.args else type(error).__name__
