"""The location store that is a database: db_mode 3. Bindings are read for each request and never kept.

Servers that share the database see each other's registrations.  A REGISTER reads and writes in one transaction.
"""

import logging
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from openserd.core.database import Database, DatabaseError, DatabaseRefused, Row
from openserd.core.management.statistics import Statistics
from openserd.mods.usrloc.binding import MEMORY_ONLY, Binding, Rules
from openserd.mods.usrloc.location import Change, Location
from openserd.mods.usrloc.rows import BadRow, Rows
from openserd.shm.table import Table

log = logging.getLogger("openserd")

USER: Final = 13  #: the column of the user among those read


class DatabaseOnly(Location):
    """Bindings in the tables of a database alone.

    Statistics count what this server removes as expired; AoRs and contacts are not counted (OpenSER).
    """

    __slots__ = ("database", "fetch_rows", "rows")

    def __init__(
        self,
        table: Table,
        n_buckets: int,
        rules: Rules,
        statistics: Statistics,
        database: Database,
        rows: Rows,
        *,
        fetch_rows: int = 2000,
        use_domain: bool = False,
        nat_bflag: int = 0,
    ) -> None:
        super().__init__(table, n_buckets, rules, statistics, use_domain=use_domain, nat_bflag=nat_bflag)
        self.database = database
        self.rows = rows
        self.fetch_rows = fetch_rows

    def get(self, domain: bytes, aor: bytes) -> list[Binding]:
        """The bindings of an AoR in their order. Raises DatabaseError."""
        try:
            rows = self.database.query(domain.decode(), self.rows.read, self.rows.of_aor(aor))
        except DatabaseRefused as refused:
            log.error("usrloc: %s", refused)
            raise
        return self.rules.ordered(self.rows.bindings(rows, complain))

    def update(self, domain: bytes, aor: bytes, now: int, change: Change) -> list[Binding]:
        """Gives an AoR the bindings that `change` makes of its valid ones, in one transaction; returns them.

        Raises DatabaseError, and nothing has changed then, nor when `change` raises.
        """
        with self.database.transaction():
            stored = self.get(domain, aor)
            valid = [binding for binding in stored if binding.is_valid(now)]
            n_expired = len(stored) - len(valid)
            bindings = change(valid, now)
            self.write(domain.decode(), aor, stored, bindings)
        if n_expired:
            self.domains[domain].expired.bump(n_expired)
        if self.callbacks:
            self._tell(domain, aor, now, stored, bindings)
        return bindings

    def write(self, table: str, aor: bytes, stored: list[Binding], bindings: list[Binding]) -> None:
        """Makes the rows of an AoR those of its new bindings. Raises DatabaseError."""
        rows, database = self.rows, self.database
        stay = {id(binding) for binding in bindings}
        before = {id(binding) for binding in stored}
        gone = {rows.key(one): one for one in stored if id(one) not in stay}
        made = [one for one in bindings if id(one) not in before and not one.flags & MEMORY_ONLY]
        try:
            for binding in made:
                if gone.pop(rows.key(binding), None) is not None:
                    replace = rows.replace(table, aor, binding)
                    database.replace(table, replace.row, replace.keys)
                else:
                    database.insert(table, rows.row(aor, binding))
            for binding in gone.values():
                database.delete(table, rows.delete(table, aor, binding).where)
        except DatabaseRefused as refused:
            log.error("usrloc: bindings of %r are not written: %s", aor, refused)
            raise

    def expire(self, now: int) -> None:
        """Removes every row that has expired."""
        for name, domain in self.domains.items():
            try:
                domain.expired.bump(self.database.delete(name.decode(), self.rows.expired(now)))
            except DatabaseRefused as refused:
                log.error("usrloc: expired rows stay: %s", refused)
            except DatabaseError:
                return

    def records(self) -> Iterator[tuple[bytes, bytes, list[Binding]]]:
        """(domain, aor, bindings) of all AoRs. Raises DatabaseError."""
        for name in self.domains:
            for _, rows in groupby(self.all_rows(name), lambda row: row[USER]):
                yield from self.of_user(name, list(rows))

    def all_rows(self, name: bytes) -> Iterator[Row]:
        """The rows of a table, those of each user together."""
        for rows in self.database.fetch(name.decode(), self.rows.read, (), self.rows.columns.user, self.fetch_rows):
            yield from rows

    def of_user(self, name: bytes, rows: list[Row]) -> Iterator[tuple[bytes, bytes, list[Binding]]]:
        """The AoRs of one user, who may be in several domains."""
        found: dict[bytes, list[Binding]] = {}
        for row in rows:
            try:
                binding = self.rows.binding(row)
                found.setdefault(self.rows.aor(row), []).append(binding)
            except BadRow as bad:
                complain(bad)
        for aor, bindings in found.items():
            yield name, aor, self.rules.ordered(bindings)


def complain(bad: BadRow) -> None:
    """Says that a row is left out."""
    log.error("usrloc: left out: %s", bad)
