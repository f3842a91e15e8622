"""unixodbc: databases behind ODBC drivers (OpenSER: modules/unixodbc).

The URL names a data source of odbc.ini: unixodbc://user:password@localhost/my_dsn.  Text passes through byte for byte
as far as the ODBC driver lets it.
"""

import logging
from typing import TYPE_CHECKING

from openserd.core.database.driver import Lost
from openserd.core.database.module import DriverModule
from openserd.core.database.url import DatabaseUrl
from openserd.core.module import not_negative, param
from openserd.errors import ConfigError

try:
    import pyodbc

    from openserd.mods.unixodbc.connection import OdbcConnection, explained
except ImportError as missing:
    raise ConfigError(
        f"module unixodbc needs the Python package pyodbc ({missing})",
        hint="pip install 'openserd[odbc]', and the ODBC driver manager (Debian: apt-get install libodbc2)",
    ) from None

if TYPE_CHECKING:
    from openserd.core.context import Core

__all__ = ["UnixOdbc"]

log = logging.getLogger("openserd")

pyodbc.pooling = False  # the driver manager's pool belongs to a process: children must not share it


class UnixOdbc(DriverModule):
    """The driver for URLs that begin with unixodbc."""

    name = "unixodbc"

    ping_interval: int = param(300, check=not_negative)  #: seconds of silence before a connection is tried, 0 never
    auto_reconnect: int = param(1)  #: 1: a statement whose connection was lost is sent again on a new one
    use_escape_common: int = param(0)  #: accepted: values travel beside the statement and are never part of it

    @property
    def retries(self) -> bool:
        """Whether a statement is sent again."""
        return bool(self.auto_reconnect)

    @property
    def idle_seconds(self) -> int:
        """Seconds of silence after which a connection is tried."""
        return self.ping_interval

    def on_init(self, core: "Core") -> None:
        """Publishes the driver."""
        super().on_init(core)
        if self.use_escape_common:
            log.info("unixodbc: use_escape_common changes nothing: values are never part of a statement")

    def connect(self, url: DatabaseUrl, timeout: float) -> "OdbcConnection":
        """A new connection. Raises Lost."""
        try:
            return OdbcConnection(url, timeout)
        except pyodbc.Error as error:
            raise Lost(explained(error)) from None
