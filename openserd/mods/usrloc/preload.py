"""Preload: the tables of the database become bindings in memory, at the start or as soon as the database is there."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from openserd.core.database import Database, DatabaseError, DatabaseUnavailable, Row
from openserd.core.log import NOTICE
from openserd.errors import ConfigError, OpenserError, ResourceError
from openserd.mods.usrloc.binding import PERMANENT
from openserd.mods.usrloc.rows import BadRow, Rows

if TYPE_CHECKING:
    from openserd.mods.usrloc.backed import Backed

log = logging.getLogger("openserd")

PROGRESS_ROWS: Final = 25_000  #: how often the log hears of it
MOST_COMPLAINTS: Final = 10  #: rows of one table that the log names because they cannot be used


class Loader:
    """Reads the tables into `location`. `word`, shared, is 1 once all of them have been read."""

    __slots__ = ("complained", "database", "fetch_rows", "location", "n_bad", "rows", "word")

    def __init__(
        self, location: "Backed", database: Database, rows: Rows, word: memoryview, fetch_rows: int = 2000
    ) -> None:
        self.location = location
        self.database = database
        self.rows = rows
        self.word = word
        self.fetch_rows = fetch_rows
        self.n_bad = 0
        self.complained = False

    @property
    def is_loaded(self) -> bool:
        """Whether memory has what the database had."""
        return bool(self.word[0])

    @property
    def any_table(self) -> str:
        """A table of the database."""
        return next((name.decode() for name in self.location.domains), "location")

    def begin(self, now: int) -> None:
        """Reads the tables before the fork; a database that cannot be reached now is for `load`.

        Raises ConfigError where a table can never be read as it is, ResourceError where memory does not suffice.
        """
        try:
            self.read_all(now)
        except DatabaseUnavailable:
            log.warning("usrloc: locations will be read when the database is there")
        except DatabaseError as error:
            raise ConfigError(f"usrloc: {error}") from None
        except ResourceError as error:
            raise ResourceError(f"usrloc: not all locations have room in shared memory (-m): {error}") from None
        finally:
            self.database.close()

    def load(self, now: int) -> bool:
        """Reads the tables unless that was done; False when that is not possible now, said once."""
        if self.is_loaded:
            return True
        try:
            self.read_all(now)
        except DatabaseUnavailable:
            return False
        except OpenserError as error:
            if not self.complained:
                self.complained = True
                log.error("usrloc: locations cannot be read: %s", error)
            return False
        return True

    def read_all(self, now: int) -> None:
        """Reads every table, then removes the rows that have expired. Raises ResourceError."""
        for name in self.location.domains:
            self.read_table(name, now)
            self.database.delete(name.decode(), self.rows.expired(now))
        self.word[0] = 1

    def read_table(self, name: bytes, now: int) -> None:
        """Reads one table."""
        table = name.decode()
        begin = time.monotonic()
        self.n_bad = n_rows = n_added = n_told = 0
        for rows in self.database.fetch(table, self.rows.read, n_rows=self.fetch_rows):
            n_added += self.add(name, rows, now)
            n_rows += len(rows)
            if n_rows - n_told >= PROGRESS_ROWS:
                n_told = n_rows
                log.log(NOTICE, "usrloc: %d rows of table %s read", n_rows, table)
        seconds = time.monotonic() - begin
        log.log(NOTICE, "usrloc: table %s read in %.1f s: %d contacts of %d rows", table, seconds, n_added, n_rows)
        if self.n_bad:
            log.error("usrloc: %d rows of table %s are no contacts", self.n_bad, table)

    def add(self, name: bytes, rows: Sequence[Row], now: int) -> int:
        """Puts the valid bindings of some rows into memory; how many memory did not have."""
        domain = self.location.domains[name]
        merge, read, aor_of = self.location.merge, self.rows.binding, self.rows.aor
        n_added = n_users = 0
        try:
            for row in rows:
                try:
                    binding = read(row)
                    aor = aor_of(row)
                except BadRow as bad:
                    self.complain(name, bad)
                    continue
                if binding.expires > now or binding.expires == PERMANENT:
                    n_before = merge(domain, aor, binding)
                    n_added += n_before >= 0
                    n_users += n_before == 0
        finally:
            domain.contacts.bump(n_added)
            domain.users.bump(n_users)
        return n_added

    def complain(self, name: bytes, bad: BadRow) -> None:
        """Says why a row is left out, for the first few."""
        self.n_bad += 1
        if self.n_bad <= MOST_COMPLAINTS:
            log.error("usrloc: left out of table %s: %s", name.decode(), bad)
