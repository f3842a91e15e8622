"""The tables of OpenSER 1.2 and the statements that make them, for each kind of database.

`openserd/data/schema.tsv` lists every column of every table as OpenSER's own scripts make it; sqlite, which OpenSER
does not know, has MySQL's.  Tables come in sets: core, and those that an operator adds when a module needs them.

Where we depart from the scripts: zero dates of MySQL are kept, but sqlite gets 1900-01-01; table `address` has version
3 in PostgreSQL too, which is what its module asks for; `id` columns of dbtext number themselves.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from openserd.core.database.textfile import Column as TextColumn

SETS: Final = ("core", "presence", "extra", "serweb", "jabber", "pa")
BACKENDS: Final = {"mysql": "mysql", "postgres": "postgresql", "sqlite": "mysql", "dbtext": "dbtext"}
VERSION_TABLE: Final = "version"

KEY: Final = re.compile(r"(PRIMARY|UNIQUE|INDEX)(?: (\w+))?(?:\[(\d+)\])?")
NUMBER_TYPE: Final = re.compile(r"(int|integer|smallint|tinyint|bigint)\b", re.I)
EMPTY: Final = "(empty string)"
NUMBERS_ITSELF: Final = ("auto_increment", "serial")
ZERO_DATE: Final = "0000-00-00 00:00:00"
EARLY_DATE: Final = "1900-01-01 00:00:00"


class Key(NamedTuple):
    """A column's part in a key: PRIMARY, UNIQUE or INDEX, the key's name, the column's place in it (0: alone)."""

    kind: str
    name: str
    place: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the scripts of one kind of database declare it."""

    name: str
    type: str
    null: bool
    default: str
    keys: tuple[Key, ...]

    @property
    def numbers_itself(self) -> bool:
        """Whether the database numbers the rows."""
        return self.default in NUMBERS_ITSELF

    @property
    def is_number(self) -> bool:
        """Whether the column holds whole numbers."""
        return NUMBER_TYPE.match(self.type) is not None or self.type.upper() == "SERIAL"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of one set; one that `extends` adds columns to the table of this name in set core."""

    name: str
    set: str
    version: int
    columns: list[Column] = field(default_factory=list)
    extends: bool = False

    def all_keys(self) -> list[tuple[str, str, list[str]]]:
        """Every key: its kind, its name or "", the columns in their order."""
        grouped: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
        for column in self.columns:
            for key in column.keys:
                alone = column.name if not key.name and not key.place else ""
                grouped.setdefault((key.kind, key.name, alone), []).append((key.place, column.name))
        return [(kind, name, [column for _, column in sorted(parts)]) for (kind, name, _), parts in grouped.items()]


def parse_keys(cell: str) -> tuple[Key, ...]:
    """The keys in a cell such as `UNIQUE user_id[1], INDEX username_id`."""
    return tuple(Key(found[1], found[2] or "", int(found[3] or 0)) for found in KEY.finditer(cell))


@cache
def tables(backend: str) -> dict[str, dict[str, Table]]:
    """The tables for a driver's kind of database: by set, then by name."""
    found: dict[str, dict[str, Table]] = {}
    text = files("openserd").joinpath("data/schema.tsv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["backend"] != BACKENDS[backend]:
            continue
        of_set = found.setdefault(row["set"].removeprefix("module "), {})
        table = of_set.get(row["table"])
        if table is None:
            version = version_of(row["table"], row["table_version"])
            extends = row["set"] == "serweb" and row["table"] in found.get("core", {})
            table = of_set[row["table"]] = Table(row["table"], row["set"].removeprefix("module "), version, [], extends)
        default = "" if row["default"] == "" else row["default"]
        table.columns.append(
            Column(row["column"], row["type"], row["null"] == "YES", default, parse_keys(row["keys"]))
        )  # fmt: skip
    return {name: found[name] for name in SETS if name in found}


def version_of(table: str, written: str) -> int:
    """The version of a table; 0 where OpenSER counts none."""
    return 3 if table == "address" else int(written or 0)


def table_version(name: str) -> int:
    """The version of a table of any set that its module expects, 0 for none."""
    return max((of_set[name].version for of_set in tables("mysql").values() if name in of_set), default=0)


def chosen(backend: str, sets: Iterable[str]) -> Iterator[Table]:
    """The tables of some sets, as far as this kind of database has them."""
    known = tables(backend)
    for name in sets:
        yield from known.get(name, {}).values()


# -- SQL ----------------------------------------------------------------------------------------------------


class Style(NamedTuple):
    """How a kind of database writes names, and what it appends to CREATE TABLE."""

    backend: str
    quote: str = '"'
    table_options: str = ""
    user_column: str = "username"  #: USERCOL of openserctlrc

    def name(self, name: str) -> str:
        """A name in quotes."""
        return f"{self.quote}{self.user_column if name == 'username' else name}{self.quote}"


def make_table(style: Style, table: Table) -> list[str]:
    """The statements that make a table, or add its columns where it extends another."""
    if table.extends:
        added = [add_column(style, table, column) for column in table.columns]
        return added + make_indexes(style, table, ("UNIQUE", "INDEX"))
    lines = [column_text(style, column) for column in table.columns]
    lines += [
        f"PRIMARY KEY ({names(style, columns)})"
        for kind, _, columns in table.all_keys()
        if kind == "PRIMARY" and not (style.backend == "sqlite" and numbers_rows(table, columns))
    ]
    body = ",\n  ".join(lines)
    options = f" {style.table_options}" if style.table_options else ""
    made = f"CREATE TABLE {style.name(table.name)} (\n  {body}\n){options}"
    return [made, *make_indexes(style, table, ("UNIQUE", "INDEX"))]


def make_indexes(style: Style, table: Table, kinds: tuple[str, ...]) -> list[str]:
    """The statements that make a table's keys."""
    statements = []
    for kind, name, columns in table.all_keys():
        if kind in kinds:
            unique = "UNIQUE " if kind == "UNIQUE" else ""
            index = index_name(style, table, name, columns)
            statements.append(
                f"CREATE {unique}INDEX {style.quote}{index}{style.quote} ON {style.name(table.name)}"
                f" ({names(style, columns)})"
            )
    return statements


def index_name(style: Style, table: Table, name: str, columns: list[str]) -> str:
    """The name of a key; outside of MySQL no two tables may have keys of the same name."""
    own = name or "_".join([*columns, "key"])
    return own if style.backend == "mysql" else f"{table.name}_{own.removeprefix(table.name + '_')}"


def numbers_rows(table: Table, columns: list[str]) -> bool:
    """Whether these columns are the one that the database numbers."""
    return any(column.numbers_itself and [column.name] == columns for column in table.columns)


def names(style: Style, columns: list[str]) -> str:
    """Names in a row."""
    return ", ".join(map(style.name, columns))


def add_column(style: Style, table: Table, column: Column) -> str:
    """The statement that adds a column to a table that has rows; they need a value where it allows no NULL."""
    given = column
    if not column.null and not column.default:
        given = Column(column.name, column.type, False, "0" if column.is_number else EMPTY, column.keys)
    return f"ALTER TABLE {style.name(table.name)} ADD COLUMN {column_text(style, given)}"


def column_text(style: Style, column: Column) -> str:
    """A column in CREATE TABLE."""
    parts = [style.name(column.name), type_text(style, column)]
    if style.backend == "sqlite" and column.numbers_itself:
        return " ".join([*parts, "PRIMARY KEY"])
    parts.append("NULL" if column.null else "NOT NULL")
    if column.default == "auto_increment":
        parts.append("AUTO_INCREMENT")
    elif column.default and not column.numbers_itself and column.default != "NULL" and takes_default(style, column):
        parts.append(f"DEFAULT {default_text(style, column.default)}")
    return " ".join(parts)


def takes_default(style: Style, column: Column) -> bool:
    """Whether a default may be declared: MySQL allows none for texts of any length."""
    return style.backend != "mysql" or column.type.lower() not in ("text", "blob")


def type_text(style: Style, column: Column) -> str:
    """A column's type."""
    if style.backend == "sqlite":
        return sqlite_type(column)
    return "timestamp" if column.type == "timestamp(14)" else column.type


def sqlite_type(column: Column) -> str:
    """A type of MySQL as sqlite's; dates keep their name, by which they are recognised when read."""
    kind = column.type.lower()
    if column.is_number:
        return "INTEGER"
    if kind.startswith("float"):
        return "REAL"
    return "timestamp" if kind.startswith("timestamp") else kind


def default_text(style: Style, default: str) -> str:
    """A default value."""
    if default == "NOW()":
        return "NOW()"
    if default == EMPTY:
        return "''"
    if default == ZERO_DATE and style.backend == "sqlite":
        default = EARLY_DATE
    if re.fullmatch(r"-?\d+(\.\d+)?", default):
        return default if style.backend == "sqlite" else f"'{default}'"
    quoted = default.replace("'", "''")
    return f"'{quoted}'"


# -- dbtext -------------------------------------------------------------------------------------------------


def text_columns(table: Table, user_column: str = "username") -> list[TextColumn]:
    """The columns of a table of dbtext; `id`, and what MySQL numbers, numbers itself."""
    return [TextColumn(user_column if column.name == "username" else column.name, column.type, column.null,
                       numbered(table, column)) for column in table.columns]  # fmt: skip


def numbered(table: Table, column: Column) -> bool:
    """Whether a column of dbtext numbers itself."""
    twin = tables("mysql").get(table.set, {}).get(table.name)
    same = [one for one in twin.columns if one.name == column.name] if twin else []
    return column.type == "int" and not column.null and any(one.numbers_itself for one in same)
