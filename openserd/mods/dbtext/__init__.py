"""dbtext: databases that are folders of text files, one a table (OpenSER: modules/dbtext).

Each process keeps its own copy of the tables that it uses and reads a file again when it has changed, whoever changed
it.  A change is written at once, to a new file that then takes the old one's place, so that a file is whole at every
moment; one process at a time changes a database.  Every change writes its whole table: this is for small ones.
"""

import os

from openserd.core.database.driver import Lost
from openserd.core.database.module import DriverModule
from openserd.core.database.url import DatabaseUrl
from openserd.mods.dbtext.folder import Folder

__all__ = ["DbText"]


class DbText(DriverModule):
    """The driver for URLs that begin with dbtext, such as dbtext:///usr/local/etc/openser/dbtext."""

    name = "dbtext"

    def connect(self, url: DatabaseUrl, timeout: float) -> Folder:
        """Opens a folder. Raises Lost."""
        if not os.path.isdir(url.path):
            raise Lost(f"there is no folder {url.path} (openserdbctl create makes it)")
        return Folder(url.path, timeout)
