"""What modules share that look something up in a database for one request.

What the database refuses is said in the log, with the module's name; that it cannot be reached, `Database` says itself,
once.
"""

import logging
from collections.abc import Sequence
from typing import Final

from openserd.core.arguments import Arg, Context
from openserd.core.database.database import Database
from openserd.core.database.errors import DatabaseRefused
from openserd.core.database.values import Condition, Row, Value, name_check
from openserd.errors import ConfigError

log = logging.getLogger("openserd")

#: Where 1.2's modules that only read look, unless `db_url` names another.
READ_URL: Final = "mysql://openserro:openserro@localhost/openser"


class TableName(Arg):
    """The name of a table; arrives as str."""

    expects = "the name of a table"

    def compile(self, text: str, context: Context) -> object:
        problem = name_check(text.strip())
        if problem:
            raise ConfigError(f"'{text}' is no name of a table", expected=problem)
        return text.strip()


class Reader:
    """What one module asks of a database."""

    __slots__ = ("database", "owner")

    def __init__(self, database: Database, owner: str) -> None:
        self.database = database
        self.owner = owner

    def rows(self, table: str, columns: Sequence[str], where: Sequence[Condition] = ()) -> list[Row]:
        """The rows that meet all conditions. Raises DatabaseError."""
        try:
            return self.database.query(table, columns, where)
        except DatabaseRefused as refused:
            log.error("%s: %s", self.owner, refused)
            raise

    def row(self, table: str, columns: Sequence[str], where: Sequence[Condition]) -> Row | None:
        """The first of these rows, None where there is none. Raises DatabaseError."""
        found = self.rows(table, columns, where)
        return found[0] if found else None


def text_of(value: Value) -> bytes:
    """A value as text, b"" for none."""
    return value if isinstance(value, bytes) else b"" if value is None else str(value).encode()


def without_prefix(host: bytes, prefix: bytes) -> bytes:
    """A host without the prefix that `domain_prefix` names, whatever its case, unless nothing would be left."""
    has_prefix = len(prefix) < len(host) and host[: len(prefix)].lower() == prefix.lower()
    return host[len(prefix) :] if has_prefix else host
