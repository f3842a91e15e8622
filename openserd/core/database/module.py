"""The base of driver modules: what `loadmodule "mysql.so"` gives to other modules."""

from typing import TYPE_CHECKING

from openserd.core.database.driver import Connection
from openserd.core.database.url import DatabaseUrl
from openserd.core.module import Module

if TYPE_CHECKING:
    from openserd.core.context import Core


class DriverModule(Module):
    """A module that connects to databases whose URLs begin with its name.  It publishes itself as `db:NAME`."""

    @property
    def retries(self) -> bool:
        """Whether an operation whose connection was lost is tried again on a new one."""
        return True

    @property
    def idle_seconds(self) -> int:
        """After how much silence a connection is tried before it is used; 0: never."""
        return 0

    def on_init(self, core: "Core") -> None:
        """Publishes the driver."""
        core.publish(f"db:{self.name}", self)

    def connect(self, url: DatabaseUrl, timeout: float) -> Connection:
        """A new connection within `timeout` seconds. Raises Lost."""
        raise NotImplementedError
