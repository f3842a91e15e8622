"""From the URL in a module's parameter to the database, through the driver module that the script has loaded."""

from typing import TYPE_CHECKING, cast

from openserd.core.database.breaker import Breaker
from openserd.core.database.database import Database
from openserd.core.database.driver import Driver
from openserd.core.database.module import DriverModule
from openserd.core.database.url import DatabaseUrl
from openserd.errors import ConfigError

if TYPE_CHECKING:
    from openserd.core.context import Core


def open_database(core: "Core", text: str) -> Database:
    """The database that an URL names; the same object for the same URL.  In the master, from `on_init`.

    Nothing is connected yet.  Raises ConfigError for an URL that cannot be read or whose driver is not loaded.
    """
    name = f"database {text}"
    if name not in core.published:
        url = DatabaseUrl.parse(text)
        core.publish(name, Database(url, find_driver(core, url.scheme), shared_breaker(core)))
    return cast(Database, core.published[name])


def find_driver(core: "Core", scheme: str) -> Driver:
    """The driver for a scheme; its module may stand behind the one that asks. Raises ConfigError."""
    published = core.published.get(f"db:{scheme}")
    if published is not None:
        return cast(Driver, published)
    module = core.modules.get(scheme)
    if isinstance(module, DriverModule):
        return module
    raise ConfigError(
        f"a database URL begins with {scheme}: and no module serves that", hint=f'add loadmodule "{scheme}.so"'
    )


def shared_breaker(core: "Core") -> Breaker:
    """The state of a database, for all processes where there is shared memory."""
    if core.shared is None or core.shared.is_sealed:
        return Breaker()
    segment = core.shared.segment
    return Breaker(segment.signed_longs(segment.reserve(16), 2))
