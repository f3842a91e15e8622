"""Databases as something to be made and dropped, one class for each kind."""

import os
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Final

from openserd.core import schema
from openserd.core.database.driver import Connection, Lost
from openserd.core.database.errors import DatabaseRefused
from openserd.core.database.module import DriverModule
from openserd.core.database.textfile import Column as TextColumn
from openserd.core.database.textfile import write_columns
from openserd.core.database.url import DatabaseUrl
from openserd.core.schema import Column, Style, Table
from openserd.ctl.database.target import Target
from openserd.errors import ConfigError, ResourceError
from openserd.server.loader import ModuleLoader

CONNECT_SECONDS: Final = 5.0
WORK_SECONDS: Final = 600.0  #: nobody's call waits for this tool


def driver(scheme: str) -> DriverModule:
    """The driver of a scheme. Raises ConfigError where it is missing or lacks its library."""
    module = ModuleLoader().load(scheme)
    if not issubclass(module, DriverModule):
        raise ConfigError(f"module {scheme} is no database driver")
    return module()


class Store(ABC):
    """One database; `backend` is the kind of its tables in the schema."""

    backend = ""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.url = target.url
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The connection to the database. Raises ResourceError."""
        if self._connection is None:
            self._connection = self.connect(self.url)
        return self._connection

    def connect(self, url: DatabaseUrl) -> Connection:
        """A connection that has time. Raises ResourceError."""
        try:
            connection = driver(url.scheme).connect(url, CONNECT_SECONDS)
        except Lost as lost:
            raise ResourceError(f"{url}: {lost}") from None
        connection.limit(WORK_SECONDS)
        return connection

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @abstractmethod
    def create(self) -> None:
        """Makes the database, without tables. Raises ResourceError where it is there."""

    @abstractmethod
    def drop(self) -> None:
        """Removes the database with everything in it."""

    @abstractmethod
    def make(self, table: Table) -> None:
        """Makes a table, or adds its columns where it extends another."""

    @abstractmethod
    def add_columns(self, table: Table, columns: list[Column]) -> None:
        """Adds columns that a table lacks."""

    def user_column(self, name: str) -> str:
        """The name of a column here."""
        return self.target.user_column if name == "username" else name


class SqlStore(Store):
    """A database that speaks SQL."""

    quote = '"'

    @property
    def style(self) -> Style:
        """How its statements are written."""
        return Style(self.backend, self.quote, self.options(), self.target.user_column)

    def options(self) -> str:
        """What follows CREATE TABLE."""
        return ""

    def make(self, table: Table) -> None:
        """Makes a table, or adds its columns where it extends another."""
        for statement in schema.make_table(self.style, table):
            self.connection.raw_query(statement)

    def add_columns(self, table: Table, columns: list[Column]) -> None:
        """Adds columns that a table lacks."""
        for column in columns:
            self.connection.raw_query(schema.add_column(self.style, table, column))


class MySqlStore(SqlStore):
    """A database of a MySQL server, in a character set that has a character for each byte."""

    backend = "mysql"
    quote = "`"

    def options(self) -> str:
        """TABLE_TYPE."""
        return self.target.table_type

    def connect(self, url: DatabaseUrl) -> Connection:
        """A connection that takes the zero dates of OpenSER's tables."""
        connection = super().connect(url)
        connection.raw_query("SET SESSION sql_mode=''")
        return connection

    def create(self) -> None:
        """Makes the database and its users."""
        server = self.connect(replace(self.url, database=""))
        name = self.url.database
        server.raw_query(f"CREATE DATABASE `{name}` CHARACTER SET latin1")
        users = self.target.accounts
        if users:
            for host in dict.fromkeys(("%", "localhost", self.url.host)):
                grant(server, f"'{users.rw_user}'@'{host}'", users.rw_password, f"ALL PRIVILEGES ON `{name}`.*")
                grant(server, f"'{users.ro_user}'@'{host}'", users.ro_password, f"SELECT ON `{name}`.*")
        server.close()

    def drop(self) -> None:
        """Removes the database; its users stay, as with OpenSER."""
        self.close()
        server = self.connect(replace(self.url, database=""))
        server.raw_query(f"DROP DATABASE `{self.url.database}`")
        server.close()


def grant(server: Connection, user: str, password: str, what: str) -> None:
    """Makes a user of MySQL, where it is not there, and gives it its rights."""
    server.raw_query(f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY ?", (password.encode(),))
    server.raw_query(f"GRANT {what} TO {user}")


class PostgresStore(SqlStore):
    """A database of a PostgreSQL server, in an encoding that takes every byte but 0."""

    backend = "postgres"

    def server(self) -> Connection:
        """A connection to the database that every server has."""
        return self.connect(replace(self.url, database="postgres"))

    def create(self) -> None:
        """Makes the database and its users."""
        server = self.server()
        options = "TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        server.raw_query(f'CREATE DATABASE "{self.url.database}" {options}')
        users = self.target.accounts
        if users:
            for name, password in ((users.rw_user, users.rw_password), (users.ro_user, users.ro_password)):
                if not server.raw_query("SELECT 1 FROM pg_roles WHERE rolname = ?", (name.encode(),)):
                    server.raw_query(f'CREATE USER "{name}" WITH PASSWORD {literal(password)}')
        server.close()
        if users:
            self.let_in(users.rw_user, "ALL", "ALL")
            self.let_in(users.ro_user, "SELECT", "SELECT")

    def let_in(self, user: str, tables: str, sequences: str) -> None:
        """Gives a user rights on all tables, those to come included."""
        for what, rights in (("TABLES", tables), ("SEQUENCES", sequences)):
            self.connection.raw_query(f'ALTER DEFAULT PRIVILEGES GRANT {rights} ON {what} TO "{user}"')

    def drop(self) -> None:
        """Removes the database; its users stay."""
        self.close()
        server = self.server()
        server.raw_query(f'DROP DATABASE "{self.url.database}"')
        server.close()


def literal(text: str) -> str:
    """A text in a statement that takes no values."""
    if "\\" in text or "\0" in text:
        raise ConfigError("a password for PostgreSQL cannot hold a backslash here")
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


class SqliteStore(SqlStore):
    """A file of sqlite."""

    backend = "sqlite"
    FILES: Final = ("", "-wal", "-shm")

    def create(self) -> None:
        """Makes an empty file, its folder included."""
        os.makedirs(os.path.dirname(self.url.path), exist_ok=True)
        try:
            os.close(os.open(self.url.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
        except FileExistsError:
            raise ResourceError(f"{self.url.path} is there already") from None

    def drop(self) -> None:
        """Removes the file."""
        self.close()
        if not os.path.exists(self.url.path):
            raise ResourceError(f"there is no {self.url.path}")
        for ending in self.FILES:
            if os.path.exists(self.url.path + ending):
                os.unlink(self.url.path + ending)


class TextStore(Store):
    """A folder of dbtext."""

    backend = "dbtext"

    def create(self) -> None:
        """Makes the folder."""
        os.makedirs(self.url.path, exist_ok=True)
        if os.path.exists(f"{self.url.path}/{schema.VERSION_TABLE}"):
            raise ResourceError(f"{self.url.path} holds tables already")

    def drop(self) -> None:
        """Removes the files of all tables that OpenSER knows; others are left alone."""
        names = {table.name for table in schema.chosen(self.backend, schema.SETS)}
        there = [name for name in self.connection.tables() if name in names]
        self.close()
        for name in there:
            os.unlink(f"{self.url.path}/{name}")

    def make(self, table: Table) -> None:
        """Writes an empty table."""
        path = f"{self.url.path}/{table.name}"
        if os.path.exists(path):
            raise DatabaseRefused(f"{path} is there already")
        with open(path, "xb") as file:
            file.write(write_columns(schema.text_columns(table, self.target.user_column)))

    def add_columns(self, table: Table, columns: list[Column]) -> None:
        """Writes the table anew with more columns, which hold 0 or nothing."""
        path = f"{self.url.path}/{table.name}"
        added = [one for one in schema.text_columns(table, self.target.user_column)
                 if one.name in {self.user_column(column.name) for column in columns}]  # fmt: skip
        with open(path, "rb") as file:
            first, *lines = file.read().split(b"\n")
        fields = b"".join(b":" + unset(column) for column in added)
        head = b" ".join([first, write_columns(added).rstrip(b"\n")])
        with open(f"{path}.new", "wb") as file:
            file.write(b"\n".join([head, *(line + fields if line else line for line in lines)]))
        os.rename(f"{path}.new", path)


def unset(column: TextColumn) -> bytes:
    """What a new column holds in rows that are there."""
    return b"" if column.null or column.kind == "str" else b"0"


STORES: Final[dict[str, type[Store]]] = {
    "mysql": MySqlStore, "postgres": PostgresStore, "sqlite": SqliteStore, "dbtext": TextStore,
}  # fmt: skip


def open_store(target: Target) -> Store:
    """The store for a target. Raises ConfigError for a kind of database that has no tables of ours."""
    kind = STORES.get(target.url.scheme)
    if kind is None:
        raise ConfigError(
            f"tables cannot be made through {target.url.scheme}", expected="an URL of " + ", ".join(STORES)
        )  # fmt: skip
    return kind(target)
