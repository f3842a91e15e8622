"""Location tables in a file of sqlite, and servers over them.

site = DatabaseSite(path, db_mode=1)
with site.outage(): ...           nothing of the database can be reached
site.rows()                       what the table holds
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openserd.core import schema
from openserd.core.database import Connection, Database, DatabaseUrl, Lost
from openserd.mods.usrloc.backed import Backed
from openserd.mods.usrloc.binding import Binding
from openserd.mods.usrloc.mi import STATES
from tests.unit.mods.location_kit import NOW, Site

T = b"location"
Row = dict[str, object]


def run(path: Path, statement: str, *values: object) -> list[Row]:
    """Runs a statement on the file; bytes stand for text."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        rows = [dict(row) for row in connection.execute(statement, values)]
        connection.commit()
    finally:
        connection.close()
    return rows


def make_tables(folder: Path, *names: str) -> Path:
    """A file with OpenSER's tables `version` and `location`, and further ones like the latter."""
    path = folder / "openser.db"
    style = schema.Style("sqlite", "`")
    tables = schema.tables("sqlite")["core"]
    for table in (tables["version"], tables["location"]):
        for statement in schema.make_table(style, table):
            run(path, statement)
    for name in ("location", *names):
        run(path, "INSERT INTO version (table_name, table_version) VALUES (?, 1004)", name)
    for name in names:
        (made,) = run(path, "SELECT sql FROM sqlite_master WHERE name = 'location'")
        run(path, str(made["sql"]).replace("location", name, 1))
    return path


class NoDriver:
    """Finds no database."""

    retries = True
    idle_seconds = 0

    def connect(self, url: DatabaseUrl, timeout: float) -> Connection:
        raise Lost("no route to host")


@contextmanager
def outage(database: Database) -> Iterator[None]:
    """The database is away in this block; behind it, it is back and everybody knows."""
    driver = database.driver
    database.close()
    database.driver = NoDriver()
    try:
        yield
    finally:
        database.driver = driver
        database.breaker.words[0] = 0


class DatabaseSite(Site):
    """A server with a database; `is_away` starts it while the database cannot be reached."""

    def __init__(
        self, path: Path, db_mode: int, *, is_away: bool = False, megabytes: int = 2, **params: int | str
    ) -> None:
        self.path = path
        names = [name for name in ("max_contacts", "use_path", "path_mode") if name in params]
        registrar: dict[str, int | str] = {name: params.pop(name) for name in names}
        usrloc = {"db_mode": db_mode, "db_url": f"sqlite://{path}", **params}
        super().__init__(registrar, usrloc, megabytes=megabytes)
        assert self.usrloc.database is not None
        self.database = self.usrloc.database
        if is_away:
            with outage(self.database):
                self.usrloc.on_ready(self.core)
        else:
            self.usrloc.on_ready(self.core)

    @property
    def backed(self) -> Backed:
        """The store of modes 1 and 2."""
        assert isinstance(self.location, Backed)
        return self.location

    def close(self) -> None:
        self.database.close()
        super().close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """The database is away in this block."""
        with outage(self.database):
            yield
        if isinstance(self.location, Backed):
            self.location.breaker.words[0] = self.location.doubt.words[0] = 0

    def rows(self) -> list[Row]:
        """All rows of the table `location`."""
        return run(self.path, "SELECT * FROM location ORDER BY id")

    def stored(self) -> list[str]:
        """The contacts in the table."""
        return sorted(str(row["contact"]) for row in self.rows())

    def states(self, aor: bytes = b"alice") -> dict[str, str]:
        """Contact -> state in memory, of an AoR; `deleted` for those that wait to be."""
        return {
            one.uri.decode(): "deleted" if one.expires == 10 else STATES[one.state]
            for one in self.location.get(T, aor)
        }  # fmt: skip

    def agrees(self) -> bool:
        """Whether memory and table hold the same."""
        memory = sorted(one.uri.decode() for one in self.location.contacts())
        return memory == self.stored()


def made(uri: bytes = b"sip:a@h", **changes: int | bytes) -> Binding:
    """A binding with all fields."""
    fields: dict[str, int | bytes] = {
        "expires": NOW + 60, "cseq": 5, "flags": 0, "cflags": 0, "methods": 1, "last_modified": NOW, "q": -1,
        "uri": uri, "call_id": b"c", "user_agent": b"ua", "socket": b"", "received": b"", "path": b"",
    }  # fmt: skip
    return Binding(**(fields | changes))  # type: ignore[arg-type]
