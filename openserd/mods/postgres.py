"""postgres: databases on PostgreSQL servers (OpenSER: modules/postgres).

Values travel beside the statement, without a type of their own: the server takes each for what its column is.  Text
passes through byte for byte as far as the database's encoding has it: a database in UTF8 refuses other bytes, none
takes the byte 0.
"""

import contextlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from openserd.core.database.driver import Lost
from openserd.core.database.errors import DatabaseBusy, DatabaseError, DatabaseRefused
from openserd.core.database.module import DriverModule
from openserd.core.database.sql import SqlConnection, with_marks
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import Row, Value, date_text, date_value
from openserd.errors import ConfigError

try:
    import psycopg
    from psycopg import pq, waiting
    from psycopg.abc import PQGen
    from psycopg.adapt import Dumper, Loader
    from psycopg.types.numeric import FloatLoader
except ImportError as missing:
    raise ConfigError(
        f"module postgres needs the Python package psycopg ({missing})", hint="pip install 'openserd[postgres]'"
    ) from None

RV = TypeVar("RV")

#: Classes of SQLSTATE: what the server cannot do now, and what ends a connection.
BUSY_CLASSES: Final = frozenset(("40", "53", "55", "58"))
LOST_CLASSES: Final = frozenset(("08", "57"))
BUSY_STATES: Final = frozenset(("57014", "25006"))  #: cancelled; the server is read-only
LOOK_SECONDS: Final = 0.05  #: how often a wait looks at the clock


class Postgres(DriverModule):
    """The driver for URLs that begin with postgres."""

    name = "postgres"

    def connect(self, url: DatabaseUrl, timeout: float) -> "PostgresConnection":
        """A new connection. Raises Lost."""
        try:
            return PostgresConnection(url, timeout)
        except (psycopg.Error, OSError) as error:
            raise Lost(explained(error)) from None


class BoundedConnection(psycopg.Connection[Row]):
    """A connection that waits for no answer longer than `seconds`."""

    seconds: float = 2.0

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """Has `gen` work until it is done. Raises OperationalError when that takes too long."""
        return waiting.wait(bounded(gen, self.seconds), self.pgconn.socket, LOOK_SECONDS)


def bounded(gen: PQGen[RV], seconds: float) -> Generator[Any, Any, RV]:
    """`gen`, ended by OperationalError when it waits for longer."""
    deadline = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise psycopg.OperationalError(f"no answer within {seconds:.1f} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        return cast(RV, end.value)


class PlainDumper(Dumper):
    """A value as text without a type."""

    oid = 0

    def dump(self, obj: Any) -> bytes:
        """The text of a number."""
        return repr(obj).encode()

    def quote(self, obj: Any) -> bytes:
        """The same inside a statement of psycopg's own, such as FETCH."""
        return self.dump(obj)


class BytesDumper(Dumper):
    """Text, which ends at no byte 0 in the middle."""

    oid = 0

    def dump(self, obj: Any) -> bytes:
        """The text itself. Raises DataError."""
        if b"\0" in obj:
            raise psycopg.DataError("a text with the byte 0")
        return cast(bytes, obj)


class DateDumper(Dumper):
    """A moment."""

    oid = 0

    def dump(self, obj: Any) -> bytes:
        """The text of a moment."""
        return date_text(obj).encode()


class TextLoader(Loader):
    """Text as bytes."""

    def load(self, data: Any) -> bytes:
        """The text itself."""
        return bytes(data)


class DateLoader(Loader):
    """A moment."""

    def load(self, data: Any) -> Value:
        """The moment; None for infinity and the like."""
        return date_value(bytes(data))


def adapt(raw: BoundedConnection) -> None:
    """How values go and come on this connection."""
    adapters = raw.adapters
    for kind in (int, float, bool):
        adapters.register_dumper(kind, PlainDumper)
    adapters.register_dumper(bytes, BytesDumper)
    adapters.register_dumper(datetime, DateDumper)
    for name in ("text", "varchar", "bpchar", "name"):
        adapters.register_loader(name, TextLoader)
    for name in ("timestamp", "date"):
        adapters.register_loader(name, DateLoader)
    adapters.register_loader("numeric", FloatLoader)


class PostgresConnection(SqlConnection):
    """A connection to a PostgreSQL server."""

    kind = "postgres"
    mark = "%s"

    def __init__(self, url: DatabaseUrl, timeout: float) -> None:
        super().__init__()
        self.raw = BoundedConnection.connect(
            host=url.host,
            port=url.port or 5432,
            user=url.user or None,
            password=url.password or None,
            dbname=url.database,
            connect_timeout=max(2, round(timeout)),  # libpq knows whole seconds and none below 2
            autocommit=True,
            prepare_threshold=None,
            options="-c lock_timeout=1000 -c client_encoding=SQL_ASCII -c datestyle=ISO",
            application_name="openserd",
        )
        self.raw.seconds = timeout
        adapt(self.raw)

    def limit(self, seconds: float) -> None:
        """Bounds the wait for each answer."""
        self.raw.seconds = seconds

    def name(self, name: str) -> str:
        """A name in quotes, in lower case as PostgreSQL reads one without."""
        return super().name(name.lower())

    def execute(self, statement: str, values: Sequence[Value]) -> psycopg.Cursor[Row]:
        """Runs a statement; errors are psycopg's."""
        return self.raw.execute(statement, values or None)

    def select(self, statement: str, values: Sequence[Value]) -> list[Row]:
        """Runs a statement that may have a result."""
        with translated(self.raw):
            cursor = self.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def change(self, statement: str, values: Sequence[Value]) -> int:
        """Runs a statement that changes rows."""
        with translated(self.raw):
            return self.execute(statement, values).rowcount

    def change_many(self, statement: str, rows: Sequence[Sequence[Value]]) -> None:
        """Runs a statement for each row, in one go: all or none."""
        with translated(self.raw), self.raw.transaction():
            for row in rows:
                self.execute(statement, row)

    def insert_many(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        """COPY, several times faster than INSERT: all rows or none."""
        names = ",".join(map(self.name, columns))
        statement = f"COPY {self.name(table)} ({names}) FROM STDIN"
        with translated(self.raw), self.raw.transaction(), self.raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def stream(self, statement: str, values: Sequence[Value], n_rows: int) -> Iterator[list[Row]]:
        """Rows by a cursor of the server."""
        with translated(self.raw), self.raw.transaction(), self.raw.cursor(name="openserd") as cursor:
            cursor.execute(statement, values or None)
            while rows := cursor.fetchmany(n_rows):
                yield rows

    def raw_query(self, text: str, values: Sequence[Value] = ()) -> list[Row]:
        """Runs a statement as it is."""
        return self.select(with_marks(text, self.mark) if values else text, values)

    def replace(self, table: str, row: Mapping[str, Value], keys: Sequence[str]) -> None:
        """Changes or adds a row; a second process that adds it first makes this one change it."""
        try:
            with self.savepoint():
                super().replace(table, row, keys)
        except DatabaseRefused:
            super().replace(table, row, keys)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of a transaction that can fail without the rest."""
        with translated(self.raw), self.raw.transaction():
            yield

    def begin(self) -> None:
        """Begins a transaction."""
        self.change("BEGIN", ())

    def commit(self) -> None:
        """Ends it."""
        self.change("COMMIT", ())

    def rollback(self) -> None:
        """Undoes it."""
        self.change("ROLLBACK", ())

    def tables(self) -> list[str]:
        """The names of all tables."""
        rows = self.select("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1", ())
        return [row[0].decode() for row in rows if isinstance(row[0], bytes)]

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns."""
        statement = (
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum"
        )
        return [row[0].decode() for row in self.select(statement, (self.name(table).encode(),))
                if isinstance(row[0], bytes)]  # fmt: skip

    def close(self) -> None:
        """Says goodbye."""
        with contextlib.suppress(psycopg.Error):
            self.raw.close()

    def forget(self) -> None:
        """Drops the connection; psycopg itself leaves one that it inherited alone."""
        self.close()


@contextlib.contextmanager
def translated(raw: BoundedConnection) -> Iterator[None]:
    """Errors of psycopg as our own."""
    try:
        yield
    except psycopg.Error as error:
        raise own_error(error, raw) from None
    except OSError as error:
        raise Lost(str(error)) from None


def own_error(error: psycopg.Error, raw: BoundedConnection) -> DatabaseError | Lost:
    """What an error of psycopg means."""
    state = error.sqlstate or ""
    if state[:2] in BUSY_CLASSES or state in BUSY_STATES:
        return DatabaseBusy(explained(error))
    if state[:2] in LOST_CLASSES or raw.closed or raw.pgconn.transaction_status == pq.TransactionStatus.UNKNOWN:
        return Lost(explained(error))
    if not state and isinstance(error, psycopg.OperationalError):
        return Lost(explained(error))
    return DatabaseRefused(explained(error))


def explained(error: Exception) -> str:
    """The first line of an error."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
