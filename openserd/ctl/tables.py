"""The tables that the commands work on, in the database that openserctlrc or --url names.

What only looks uses the database's read-only user where there is one.  Every error becomes one line and exit code 1.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Final, NoReturn

import click

from openserd.core.database.driver import Connection, Lost
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import NAME, Condition, Row, Value, date_text, moment
from openserd.ctl.address import Address
from openserd.ctl.config import Settings
from openserd.ctl.database.stores import driver
from openserd.ctl.database.target import DEFAULT_RW_PASSWORD, ENGINES, host_and_port
from openserd.ctl.verbose import told
from openserd.errors import ConfigError, OpenserError

SECONDS: Final = 5.0  #: nothing waits longer for the database
Ask = Callable[[str], str]


def ask_password(user: str) -> str:
    """The password of a database user, asked for in a terminal; elsewhere the one of OpenSER's URLs."""
    if not sys.stdin.isatty():
        return DEFAULT_RW_PASSWORD
    return str(click.prompt(f"Password of database user {user}", hide_input=True, err=True))


def find_url(settings: Settings, writes: bool, ask: Ask = ask_password) -> DatabaseUrl:
    """The database of the settings, with the user for reading or for writing. Raises ConfigError."""
    engine = settings.get("DBENGINE")
    scheme = ENGINES.get(engine.upper())
    if scheme is None:
        raise ConfigError(f"DBENGINE is {engine!r}", expected="one of " + ", ".join(ENGINES))
    if scheme == "dbtext":
        return DatabaseUrl(scheme, path=os.path.abspath(settings.get("DBTEXT_PATH")))
    if scheme == "sqlite":
        return DatabaseUrl(scheme, path=os.path.abspath(settings.get("DBPATH") or settings.get("DB_PATH")))
    name = settings.get("DBNAME")
    if NAME.fullmatch(name) is None:
        raise ConfigError(f"DBNAME {name!r} is no name of a database")
    user = settings.get("DBRWUSER" if writes else "DBROUSER")
    password = (settings.get("DBRWPW") or ask(user)) if writes else settings.get("DBROPW")
    return DatabaseUrl(scheme, user, password, *host_and_port(settings.get("DBHOST")), name)


@contextmanager
def reported() -> Iterator[None]:
    """Errors as one line and exit code 1."""
    try:
        yield
    except (OpenserError, Lost) as error:
        raise click.ClickException(str(error).splitlines()[0]) from None


class Tables:
    """The tables by the variables that hold their names: SUB_TABLE, ACL_TABLE ..."""

    def __init__(self, settings: Settings, url: str = "") -> None:
        self.settings = settings
        self.given = url

    def url(self, writes: bool) -> DatabaseUrl:
        """The database. Raises ConfigError."""
        return DatabaseUrl.parse(self.given) if self.given else find_url(self.settings, writes)

    def connect(self, writes: bool) -> Connection:
        """A connection. Raises click.ClickException."""
        with reported():
            url = self.url(writes)
            try:
                connection = driver(url.scheme).connect(url, SECONDS)
                if url.scheme == "sqlite" and not writes:
                    connection.raw_query("PRAGMA query_only=ON")
            except Lost as lost:
                raise click.ClickException(f"{url}: {lost}") from None
            click.get_current_context().call_on_close(connection.close)
            return connection

    @cached_property
    def reader(self) -> Connection:
        """The connection for looking."""
        return self.connect(False)

    @cached_property
    def writer(self) -> Connection:
        """The connection for changes."""
        return self.connect(True)

    def name(self, variable: str) -> str:
        """The name of a table; one that is no variable of openserctlrc stands for itself."""
        return self.settings.get(variable) or variable

    def column(self, name: str) -> str:
        """The name of a column: that of user names may be another here (USERCOL)."""
        return self.settings.get("USERCOL") if name == "username" else name

    def conditions(self, where: Mapping[str, str | int]) -> list[Condition]:
        """Columns with the values that they must have."""
        return [Condition(self.column(name), stored(value)) for name, value in where.items()]

    def row(self, values: Mapping[str, str | int | datetime | None]) -> dict[str, Value]:
        """A row, or changes of one."""
        return {self.column(name): stored(value) for name, value in values.items()}

    def tell(
        self, verb: str, table: str, columns: Iterable[str] = (), where: Mapping[str, str | int] | None = None
    ) -> None:
        """Tells an operation where VERBOSE asks for it."""
        if self.settings.is_verbose:
            click.echo(told(verb, self.name(table), columns, where), err=True)

    # -- operations -----------------------------------------------------------------------------------------

    def columns(self, table: str) -> list[str]:
        """The columns of a table. Raises click.ClickException where there is none."""
        with reported():
            name = self.name(table)
            found = self.reader.columns(name)
        if not found:
            raise click.ClickException(f"{self.url(False)} has no table {name}")
        return found

    def exists(self, table: str) -> bool:
        """Whether the database has a table."""
        with reported():
            return self.name(table) in self.reader.tables()

    def find(
        self, table: str, columns: Sequence[str], where: Mapping[str, str | int] | None = None, order: str = ""
    ) -> list[list[str]]:
        """Rows as text."""
        with reported():
            names = [self.column(name) for name in columns]
            self.tell("select from", table, names, where)
            rows = self.reader.query(self.name(table), names, self.conditions(where or {}), self.column(order))
            return shown(rows)

    def has(self, table: str, where: Mapping[str, str | int]) -> bool:
        """Whether there is such a row."""
        return bool(self.find(table, list(where), where))

    def insert(self, table: str, row: Mapping[str, str | int | datetime | None]) -> None:
        """Adds a row."""
        with reported():
            self.tell("insert into", table, row)
            self.writer.insert(self.name(table), self.row(row))

    def update(
        self, table: str, changes: Mapping[str, str | int | datetime | None], where: Mapping[str, str | int]
    ) -> int:
        """Changes rows; how many."""
        with reported():
            self.tell("update", table, changes, where)
            return self.writer.update(self.name(table), self.row(changes), self.conditions(where))

    def delete(self, table: str, where: Mapping[str, str | int]) -> int:
        """Removes rows; how many."""
        with reported():
            self.tell("delete from", table, (), where)
            return self.writer.delete(self.name(table), self.conditions(where))

    def run(self, statement: str, writes: bool) -> list[list[str]]:
        """Runs a statement of the operator's own; the rows that it answers."""
        with reported():
            if self.settings.is_verbose:
                click.echo(statement, err=True)
            return shown((self.writer if writes else self.reader).raw_query(statement))

    def dated(self, table: str, column: str) -> dict[str, datetime]:
        """The time now for a column, where the table has it."""
        return {column: moment(time.time())} if column in self.columns(table) else {}

    # -- users ----------------------------------------------------------------------------------------------

    def is_user(self, address: Address) -> bool:
        """Whether an address is a subscriber's."""
        return self.has("SUB_TABLE", owned(address))

    def require_user(self, address: Address) -> None:
        """Raises click.ClickException for somebody who is no subscriber."""
        if not self.is_user(address):
            fail(f"there is no user {address}")


def owned(address: Address, prefix: str = "") -> dict[str, str]:
    """The columns that name a user."""
    return {f"{prefix}username": address.user, f"{prefix}domain": address.domain}


def fail(text: str) -> NoReturn:
    """Ends with one line and exit code 1."""
    raise click.ClickException(text)


def stored(value: str | int | datetime | None) -> Value:
    """A value as databases take it."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def shown(rows: Sequence[Row]) -> list[list[str]]:
    """Rows as text."""
    return [[as_text(value) for value in row] for row in rows]


def as_text(value: Value) -> str:
    """A value for people; NULL for none."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return date_text(value) if isinstance(value, datetime) else str(value)
