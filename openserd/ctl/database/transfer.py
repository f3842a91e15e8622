"""Rows from one database to another, whatever their kinds: backups, copies, the move from version 1.1.

A backup is text: for each table a line `= NAME`, then the table in the format of dbtext, an empty line behind it.
"""

import re
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Final, NamedTuple

from openserd.core import schema
from openserd.core.database.driver import Connection
from openserd.core.database.errors import DatabaseRefused
from openserd.core.database.textfile import Column, read_columns, read_row, write_backup_row, write_columns
from openserd.core.database.values import Row, Value, check_name, date_value, moment, seconds
from openserd.core.schema import Table
from openserd.ctl.database.stores import Store
from openserd.ctl.database.work import Say, add_sets, in_order, make
from openserd.errors import ConfigError, ResourceError

HEAD: Final = b"# openserdbctl backup"
ROWS_AT_A_TIME: Final = 1000
SQL_DUMP: Final = re.compile(rb"\s*(--|/\*|CREATE |INSERT |SET |PGDMP)")
DATE: Final = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d.*)?")


# -- backups ------------------------------------------------------------------------------------------------


def backup(store: Store, file: BinaryIO) -> None:
    """Writes all tables."""
    connection = store.connection
    file.write(HEAD + b" of " + str(store.url).encode() + b"\n")
    for name in sorted(connection.tables(), key=lambda one: (one != schema.VERSION_TABLE, one)):
        columns = connection.columns(name)
        file.write(b"= " + name.encode() + b"\n")
        rows = [row for part in connection.fetch(name, columns) for row in part]
        file.write(write_columns(described(columns, rows)))
        file.writelines(map(write_backup_row, rows))
        file.write(b"\n")


def described(columns: Sequence[str], rows: list[Row]) -> list[Column]:
    """Columns by what stands in them; each may hold nothing."""
    kinds = ["str"] * len(columns)
    for place in range(len(columns)):
        found = {type(row[place]) for row in rows if row[place] is not None}
        if found and found <= {int}:
            kinds[place] = "int"
        elif found and found <= {int, float}:
            kinds[place] = "double"
    return [Column(name, kind, null=True) for name, kind in zip(columns, kinds, strict=True)]


class Saved(NamedTuple):
    """A table of a backup."""

    name: str
    columns: list[str]
    rows: list[Row]


def read_backup(file: BinaryIO) -> Iterator[Saved]:
    """The tables of a backup. Raises ConfigError for a file that is none."""
    head = file.readline()
    if not head.startswith(HEAD):
        kind = "a dump in SQL: load it with mysql or psql" if SQL_DUMP.match(head) else "no backup of openserdbctl"
        raise ConfigError(f"the file is {kind}")
    number = 1
    for line in file:
        number += 1
        if not line.startswith(b"= "):
            raise ConfigError(f"line {number} begins no table")
        name = check_name(line[2:].strip().decode())
        columns = read_columns(next(file, b"").rstrip(b"\n"))
        rows: list[Row] = []
        number += 1
        for text in file:
            number += 1
            if text == b"\n" and (len(columns) > 1 or not rows):
                break
            try:
                rows.append(read_row(text.rstrip(b"\n"), columns))
            except (DatabaseRefused, ValueError) as error:
                raise ConfigError(f"line {number}: {error}") from None
        yield Saved(name, [column.name for column in columns], rows)


def restore(store: Store, file: BinaryIO, force: bool, say: Say) -> None:
    """Writes the tables of a backup; those that are not there are made. Raises ResourceError where rows are there."""
    for saved in read_backup(file):
        if saved.name not in store.connection.tables():
            make(store, known_table(store, saved.name, saved.columns))
        elif force or saved.name == schema.VERSION_TABLE:
            store.connection.delete(saved.name)
        elif store.connection.query(saved.name):
            raise ResourceError(f"table {saved.name} has rows already (--force removes them)")
        say(f"{saved.name}: {put(store, saved.name, saved.columns, saved.rows)} rows")


def known_table(store: Store, name: str, columns: Sequence[str]) -> Table:
    """The table of the schema that has these columns. Raises ResourceError."""
    found = [table for table in schema.chosen(store.backend, schema.SETS) if table.name == name and not table.extends]
    for table in found:
        if {store.user_column(column.name) for column in table.columns} >= set(columns) or len(found) == 1:
            return table
    raise ResourceError(f"there is no table {name} in {store.url}, and OpenSER has none of that name")


# -- rows into another database -----------------------------------------------------------------------------


def put(store: Store, name: str, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Adds rows to a table, all or none where the database can; how many."""
    types = column_types(store, name)
    kinds = [types.get(column, "") for column in columns]
    connection = store.connection
    count = 0
    connection.begin()
    try:
        for part in parts(rows):
            connection.insert_many(name, columns, [tuple(map(converted, row, kinds)) for row in part])
            count += len(part)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    renumber(store, name)
    return count


def parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows, some at a time."""
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == ROWS_AT_A_TIME:
            yield part
            part = []
    if part:
        yield part


def column_types(store: Store, name: str) -> dict[str, str]:
    """The types of a table's columns, as the schema knows them; a name that two sets have goes to the first."""
    found: dict[str, str] = {}
    for table in schema.chosen(store.backend, schema.SETS):
        if table.name == name:
            for column in table.columns:
                found.setdefault(store.user_column(column.name), column.type.lower())
    return found


def converted(value: Value, kind: str) -> Value:
    """A value for a column of another kind of database: a moment is a date in SQL and a number in dbtext."""
    if isinstance(value, bytes) and DATE.fullmatch(value) and not kind.startswith(("varchar", "text", "str", "char")):
        value = date_value(value)
    if kind.startswith(("date", "timestamp")):
        return moment(value) if isinstance(value, int | float) else value or moment(0)
    return seconds(value) if kind == "int" and not isinstance(value, bytes | int | None) else value


def renumber(store: Store, name: str) -> None:
    """Has PostgreSQL go on numbering behind the rows that brought their own numbers."""
    serial = [column for column, kind in column_types(store, name).items() if kind == "serial"]
    if store.backend == "postgres" and serial:
        column = serial[0]
        store.connection.raw_query(
            f"SELECT setval(pg_get_serial_sequence('{name}', '{column}'), (SELECT COALESCE(MAX(\"{column}\"), 0) + 1"
            f' FROM "{name}"), false)'
        )


def copy(source: Store, target: Store, say: Say) -> None:
    """Makes a database and puts everything there that another holds."""
    target.create()
    there = set(source.connection.tables())
    known = {table.name for table in schema.chosen(target.backend, schema.SETS)}
    for name in sorted(there & known, key=lambda one: (one != schema.VERSION_TABLE, one)):
        columns = source.connection.columns(name)
        table = known_table(target, name, columns)
        target.make(table)
        lacking = set(columns) - {target.user_column(column.name) for column in table.columns}
        if lacking and name in schema.tables(target.backend).get("serweb", {}):
            target.make(schema.tables(target.backend)["serweb"][name])
        say(f"{name}: {put(target, name, columns, all_rows(source.connection, name, columns))} rows")
    for name in sorted(there - known):
        say(f"{name}: left out, it is no table of OpenSER's")


def all_rows(connection: Connection, name: str, columns: Sequence[str]) -> Iterator[Row]:
    """All rows of a table."""
    for part in connection.fetch(name, columns, n_rows=ROWS_AT_A_TIME):
        yield from part


# -- from version 1.1 ---------------------------------------------------------------------------------------


def dotted(value: Value) -> Value:
    """An IPv4 address that was a number in the order of an Intel machine."""
    if isinstance(value, int):
        return socket.inet_ntoa(struct.pack("<I", value & 0xFFFFFFFF)).encode()
    return value


ACC: Final = {"sip_method": "method", "fromtag": "from_tag", "totag": "to_tag", "sip_callid": "callid",
              "sip_status": "sip_code"}  # fmt: skip
#: Columns of version 1.1 that are called otherwise now, and tables.
RENAMED: Final[dict[str, dict[str, str]]] = {
    "acc": ACC, "missed_calls": ACC, "silo": {"mid": "id"}, "usr_preferences": {"modified": "last_modified"},
    "speed_dial": {"uuid": "id"},
}  # fmt: skip
RENAMED_TABLES: Final = {"siptrace": "sip_trace", "usr_preferences_type": "usr_preferences_types"}
CONVERTED: Final[dict[tuple[str, str], Callable[[Value], Value]]] = {("gw", "ip_addr"): dotted}
#: Not taken along: who is registered will register again, and versions are new.
LEFT: Final = frozenset(("version", "location"))


def migrate(source: Store, target: Store, sets: Sequence[str], say: Say) -> None:
    """Makes a database of this version and puts the rows of one of version 1.1 there."""
    target.create()
    add_sets(target, sets, say)
    there = source.connection.tables()
    made = {table.name: table for table in in_order(list(schema.chosen(target.backend, sets)))}
    for old in sorted(set(there) - LEFT):
        name = RENAMED_TABLES.get(old, old)
        if name not in made:
            say(f"{old}: left out")
            continue
        say(f"{old} to {name}: {migrate_table(source, target, old, name)} rows")


def migrate_table(source: Store, target: Store, old: str, name: str) -> int:
    """Puts the rows of one table into its successor; how many."""
    known = set(target.connection.columns(name))
    renamed = RENAMED.get(name, {})
    pairs = [(column, renamed.get(column, column)) for column in source.connection.columns(old)]
    pairs = [(before, after) for before, after in pairs if after in known]
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    changes = [CONVERTED.get((name, column)) for column in after]
    rows = all_rows(source.connection, old, before)
    changed = (tuple(change(value) if change else value for change, value in zip(changes, row, strict=True))
               for row in rows)  # fmt: skip
    return put(target, name, after, changed)
