"""What openserdbctl does to one database: tables made, compared with what openserd needs, brought up to date."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from openserd.core import schema
from openserd.core.database.driver import Connection
from openserd.core.database.values import Value, where
from openserd.core.schema import Column, Table
from openserd.ctl.database.stores import Store
from openserd.errors import ResourceError

Say = Callable[[str], None]


def create(store: Store, sets: Iterable[str], say: Say) -> None:
    """A new database with some sets of tables."""
    say(f"creating database {store.url} ...")
    store.create()
    add_sets(store, sets, say)


def add_sets(store: Store, sets: Iterable[str], say: Say) -> None:
    """Sets of tables in a database that is there. Raises ResourceError where one of them is there already."""
    for name in sets:
        tables = list(schema.chosen(store.backend, [name]))
        if not tables:
            raise ResourceError(f"there are no {name} tables for {store.url.scheme}")
        there = set(store.connection.tables())
        clash = sorted(table.name for table in tables if table.name in there and not table.extends)
        if clash:
            raise ResourceError(f"{store.url} has a table {clash[0]} already")
        for table in in_order(tables):
            make(store, table)
        say(f"{name} tables: {len(tables)} made")


def in_order(tables: list[Table]) -> list[Table]:
    """The table of versions first."""
    return sorted(tables, key=lambda table: table.name != schema.VERSION_TABLE)


def make(store: Store, table: Table) -> None:
    """One table and its version."""
    store.make(table)
    if table.version:
        set_version(store.connection, table)


def set_version(connection: Connection, table: Table) -> None:
    """Notes the version of a table."""
    row: dict[str, Value] = {"table_name": table.name.encode(), "table_version": table.version}
    connection.replace(schema.VERSION_TABLE, row, ("table_name",))


def version_in(connection: Connection, name: str) -> int:
    """The noted version of a table, 0 for none."""
    rows = connection.query(schema.VERSION_TABLE, ("table_version",), where(table_name=name.encode()))
    return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0


@dataclass
class Finding:
    """What is wrong with a table: not there, columns it lacks, another version."""

    table: Table
    missing: bool = False
    lacks: list[Column] = field(default_factory=list)
    version: int | None = None

    def __str__(self) -> str:
        if self.missing:
            return f"table {self.table.name} is not there"
        parts = [f"lacks column {column.name}" for column in self.lacks]
        if self.version is not None:
            parts.append(f"has version {self.version}, not {self.table.version}")
        return f"table {self.table.name} {' and '.join(parts)}"


def check(store: Store) -> Iterator[Finding]:
    """What differs from what openserd needs: in the core tables, and in each other set of which a table is there."""
    connection = store.connection
    there = set(connection.tables())
    if schema.VERSION_TABLE not in there:
        yield Finding(schema.tables(store.backend)["core"][schema.VERSION_TABLE], missing=True)
        return
    for table in wanted(store.backend, there):
        if table.name not in there:
            yield Finding(table, missing=True)
            continue
        columns = {name.lower() for name in connection.columns(table.name)}
        lacks = [column for column in table.columns if store.user_column(column.name).lower() not in columns]
        version = version_in(connection, table.name) if table.version else 0
        if lacks or version != table.version:
            yield Finding(table, False, lacks, None if version == table.version else version)


def wanted(backend: str, there: set[str]) -> Iterator[Table]:
    """The tables to look at: those of module pa only where its own ones are there, for it shares a name."""
    for name, tables in schema.tables(backend).items():
        own = [table.name for table in tables.values() if not table.extends and table.name != "presentity"]
        if name != "core" and not there & set(own):
            continue
        for table in tables.values():
            if table.name != "presentity" or name == ("pa" if "presentity_contact" in there else "presence"):
                yield table


def upgrade(store: Store, say: Say) -> int:
    """Makes missing tables, adds missing columns, notes versions; how many tables were touched."""
    findings = list(check(store))
    if findings and findings[0].table.name == schema.VERSION_TABLE and findings[0].missing:
        make(store, findings[0].table)
        findings = list(check(store))
    for finding in findings:
        say(str(finding))
        if finding.missing:
            make(store, finding.table)
            continue
        if finding.lacks:
            store.add_columns(finding.table, finding.lacks)
        if finding.table.version:
            set_version(store.connection, finding.table)
    return len(findings)
