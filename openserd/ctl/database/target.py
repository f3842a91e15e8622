"""Which database a command is about: an URL, or what openserctlrc says."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import NAME
from openserd.ctl.config import Settings
from openserd.errors import ConfigError

ENGINES: Final = {
    "MYSQL": "mysql", "PGSQL": "postgres", "POSTGRES": "postgres", "POSTGRESQL": "postgres", "DBTEXT": "dbtext",
    "TEXT": "dbtext", "SQLITE": "sqlite",
}  # fmt: skip
DEFAULT_RW_PASSWORD: Final = "openserrw"  #: as in the URLs that are the defaults of modules
ROOTS: Final = {"mysql": "root", "postgres": "postgres"}


@dataclass(frozen=True)
class Accounts:
    """The users of a new database: one who may do everything with it, one who may read."""

    rw_user: str
    rw_password: str
    ro_user: str
    ro_password: str


@dataclass(frozen=True)
class Target:
    """A database, and how new tables in it are made."""

    url: DatabaseUrl
    accounts: Accounts | None = None  #: users to be made along with the database
    user_column: str = "username"
    table_type: str = ""

    def named(self, name: str) -> "Target":
        """The same with another database: an URL, a path, or the name of a database on the same server."""
        if not name:
            return self
        if ":" in name:
            return replace(self, url=DatabaseUrl.parse(name), accounts=None)
        if self.url.path:
            return replace(self, url=replace(self.url, path=os.path.abspath(name)))
        if NAME.fullmatch(name) is None:
            raise ConfigError(f"{name!r} is no name of a database")
        return replace(self, url=replace(self.url, database=name))


def find_target(settings: Settings, engine: str, url: str, ask: Callable[[str], str]) -> Target:
    """The database of an URL or, without one, of the settings; `ask` gets a user's password. Raises ConfigError."""
    user_column, table_type = settings.get("USERCOL"), engine_clause(settings.get("TABLE_TYPE"))
    if url:
        return Target(DatabaseUrl.parse(url), None, user_column, table_type)
    scheme = ENGINES.get((engine or settings.get("DBENGINE")).upper())
    if scheme is None:
        raise ConfigError(f"DBENGINE is {settings.get('DBENGINE')!r}", expected="one of " + ", ".join(ENGINES))
    if scheme in ("sqlite", "dbtext"):
        path = settings.get("DBTEXT_PATH" if scheme == "dbtext" else "DB_PATH")
        return Target(DatabaseUrl(scheme, path=os.path.abspath(path)), None, user_column, table_type)
    user = settings.get("DBROOTUSER") or ROOTS[scheme]
    host, port = host_and_port(settings.get("DBHOST"))
    found = DatabaseUrl(scheme, user, settings.get("PW") or ask(user), host, port, settings.get("DBNAME"))
    if NAME.fullmatch(found.database) is None:
        raise ConfigError(f"DBNAME {found.database!r} is no name of a database")
    return Target(found, accounts(settings), user_column, table_type)


def host_and_port(written: str) -> tuple[str, int]:
    """DBHOST, which may name a port too; 0 for the usual one."""
    host, _, port = written.rpartition(":")
    return (host, int(port)) if host and ":" not in host and port.isdigit() else (written, 0)


def accounts(settings: Settings) -> Accounts:
    """The users that a new database gets. Raises ConfigError for names that cannot be theirs."""
    rw_password = settings.get("DBRWPW") or DEFAULT_RW_PASSWORD
    found = Accounts(settings.get("DBRWUSER"), rw_password, settings.get("DBROUSER"), settings.get("DBROPW"))
    for name in (found.rw_user, found.ro_user):
        if NAME.fullmatch(name) is None:
            raise ConfigError(f"{name!r} is no name of a database user")
    return found


def engine_clause(table_type: str) -> str:
    """TABLE_TYPE for a MySQL of today, which wants ENGINE=... where older ones had TYPE=."""
    return "ENGINE=" + table_type[5:] if table_type.upper().startswith("TYPE=") else table_type
