"""Tables that are read as a whole and looked up by every process: domains, trusted peers, addresses.

    cached = CachedTable(core, database, "domain", "domain", 1, ("domain",), Domains)    on_init, in the master
    cached.load()                                                                        ... reads it
    cached.get()          any process: what `make` built of the rows; None while nobody could read them
    cached.reload()       management: reads the table again, for all processes; the old rows stay where that fails
    cached.retry()        the timer: reads what could not be read at the start

What the master reads before the fork its children have from there.  Rows that are read later go through a Snapshot, and
each process builds its own value of them when it first looks.
"""

import logging
import marshal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from openserd.core.database.database import Database
from openserd.core.database.errors import DatabaseError, DatabaseUnavailable
from openserd.core.database.values import Row, Value
from openserd.errors import ConfigError, OpenserError

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.shm.snapshot import Snapshot

log = logging.getLogger("openserd")

T = TypeVar("T")

RETRY_SECONDS: Final = 2  #: how often a table is tried that could not be read at the start


class CachedTable(Generic[T]):
    """One table in memory.  `make` builds a value of all rows and raises ConfigError for a row that cannot be used;
    `owner` is the module, for the log."""

    __slots__ = ("columns", "complained", "database", "first", "make", "owner", "snapshot", "table")

    def __init__(
        self,
        core: "Core",
        database: Database,
        owner: str,
        table: str,
        version: int,
        columns: Sequence[str],
        make: Callable[[Sequence[Row]], T],
    ) -> None:
        self.database = database
        self.owner = owner
        self.table = table
        self.columns = columns
        self.make = make
        self.first: T | None = None
        self.complained = False
        self.snapshot: Snapshot[Any] = core.memory.snapshot(f"{owner} {table}", marshal.dumps, self.unpacked)
        database.expect(table, version)

    def unpacked(self, data: bytes) -> T:
        """The value of rows as they were published; marshal reads only what another process of this server wrote."""
        return self.make(marshal.loads(data))

    @property
    def is_loaded(self) -> bool:
        """Whether the table has been read, by whichever process."""
        return self.snapshot.version > 0 or self.first is not None

    def get(self) -> T | None:
        """The value as it is now, None while the table could not be read."""
        return self.snapshot.get() if self.snapshot.version else self.first

    # -- reading the table ----------------------------------------------------------------------------------

    def load(self) -> None:
        """Reads the table before the fork. Raises ConfigError where it can never be read as it is; a database that
        cannot be reached now is for `retry`."""
        try:
            self.first = self.make(self.rows())
        except DatabaseUnavailable:
            log.warning("%s: table %s will be read when the database is there", self.owner, self.table)
        except DatabaseError as error:
            raise ConfigError(str(error)) from None
        finally:
            self.database.close()

    def reload(self) -> bool:
        """Reads the table for all processes; False, with the reason in the log, where that is not possible."""
        try:
            self.publish()
        except OpenserError as error:
            self.complain(error)
            return False
        return True

    def retry(self) -> None:
        """Reads the table if nobody could so far; why it cannot be used is said once."""
        if self.is_loaded:
            return
        try:
            self.publish()
        except DatabaseUnavailable:
            return
        except OpenserError as error:
            if not self.complained:
                self.complained = True
                self.complain(error)
            return
        log.warning("%s: table %s has been read", self.owner, self.table)

    def publish(self) -> None:
        """Reads the table and hands its rows to all processes. Raises OpenserError, and the old rows stay."""
        rows = self.rows()
        self.make(rows)
        self.snapshot.publish(rows)

    def rows(self) -> list[Row]:
        """All rows, of plain values. Raises DatabaseError."""
        return [tuple(map(plain, row)) for row in self.database.query(self.table, self.columns)]

    def complain(self, error: OpenserError) -> None:
        """Says why the table was not read."""
        log.error("%s: table %s was not read: %s", self.owner, self.table, str(error).splitlines()[0])


def plain(value: Value) -> Value:
    """A value that can be shared: bytes, a number or None; anything else as text."""
    return value if value is None or isinstance(value, bytes | int | float) else str(value).encode()


def number_of(value: Value) -> int | None:
    """A value as a whole number, None where it is none."""
    if isinstance(value, bytes):
        return int(value) if value.strip().isdigit() else None
    return int(value) if isinstance(value, int | float) and value == int(value) else None
