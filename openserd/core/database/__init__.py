"""Databases: OpenSER's abstract operations over a URL, whichever driver module serves it (OpenSER: db/).

    database = open_database(core, "mysql://openser:openserrw@localhost/openser")     on_init, in the master
    database.expect("location", 1004)                                                  ... its table version
    database.query("location", ("contact", "q"), where(username=b"alice"), "q")       any process, after the fork

A `Database` keeps one connection a process, opened when first needed; nothing waits longer than `LIMIT` seconds.
"""

from openserd.core.database.database import LIMIT, Database
from openserd.core.database.driver import Connection, Driver, Lost
from openserd.core.database.errors import DatabaseBusy, DatabaseError, DatabaseRefused, DatabaseUnavailable
from openserd.core.database.module import DriverModule
from openserd.core.database.opening import find_driver, open_database
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import Condition, Row, Value, moment, name_check, seconds, where
from openserd.core.database.writes import Delete, Insert, Replace, Update, Write

__all__ = [
    "LIMIT", "Condition", "Connection", "Database", "DatabaseBusy", "DatabaseError", "DatabaseRefused",
    "DatabaseUnavailable", "DatabaseUrl", "Delete", "Driver", "DriverModule", "Insert", "Lost", "Replace", "Row",
    "Update", "Value", "Write", "find_driver", "moment", "name_check", "open_database", "seconds", "where",
]  # fmt: skip
