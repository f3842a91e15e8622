"""Where a database is: scheme://[user[:password]@]host[:port]/database, or scheme:/path for files (OpenSER: db_id.c).

More than OpenSER reads: a password may hold `/` and `@`, a host may be an IPv6 address in brackets.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from openserd.errors import ConfigError

FILE_SCHEMES: Final = frozenset(("dbtext", "flatstore", "sqlite"))
ALIASES: Final = {"postgresql": "postgres", "odbc": "unixodbc", "sqlite3": "sqlite", "text": "dbtext"}
FORM: Final = "scheme://[user[:password]@]host[:port]/database, or scheme:/path for dbtext, flatstore and sqlite"
CONFIG_FOLDER: Final = "/usr/local/etc/openser"  #: where relative paths begin
HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:]*)(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database's address; `path` for databases that are files, the rest for those that are servers."""

    scheme: str
    user: str = ""
    password: str = field(default="", repr=False)
    host: str = ""
    port: int = 0
    database: str = ""
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        """Reads an URL. Raises ConfigError."""
        scheme, colon, rest = text.partition(":")
        scheme = ALIASES.get(scheme.lower(), scheme.lower())
        if not colon or not scheme.isalnum() or not rest:
            raise ConfigError("this is no database URL", expected=FORM)
        if scheme in FILE_SCHEMES:
            return cls(scheme, path=file_path(rest))
        if not rest.startswith("//"):
            raise ConfigError(f"the {scheme} URL has no //", expected=FORM)
        return server_url(scheme, rest[2:])

    def __str__(self) -> str:
        """The URL without its password, for logs."""
        if self.path:
            return f"{self.scheme}://{self.path}"
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{user}{self.host}{port}/{self.database}"


def file_path(rest: str) -> str:
    """The path in what follows the scheme: absolute whatever the number of slashes, else below CONFIG_FOLDER."""
    inner = rest.removeprefix("//") if rest.startswith("//") else rest
    if inner.startswith("/"):
        return "/" + inner.strip("/")
    return f"{CONFIG_FOLDER}/{inner.rstrip('/')}"


def server_url(scheme: str, rest: str) -> DatabaseUrl:
    """The parts of what follows `scheme://`. Raises ConfigError."""
    authority, slash, database = rest.rpartition("/")
    credentials, _, host_and_port = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    matched = HOST_AND_PORT.fullmatch(host_and_port)
    if not slash or not database:
        raise ConfigError(f"the {scheme} URL names no database", expected=FORM)
    if matched is None or not matched[1]:
        raise ConfigError(f"the {scheme} URL names no host", expected=FORM)
    port = int(matched[2] or 0)
    if port > 65535:
        raise ConfigError(f"the {scheme} URL has port {port}", expected="a port up to 65535")
    return DatabaseUrl(scheme, user, password, matched[1].strip("[]"), port, database)
