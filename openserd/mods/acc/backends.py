"""Where records go: the log, and tables of a database."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openserd.core.database import Database, DatabaseError, DatabaseRefused
from openserd.core.log import log_line
from openserd.mods.acc.extras import Extra, LegValue, legs_of
from openserd.mods.acc.record import Record, clipped, log_text, row_of

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")


class LogBackend:
    """Writes records into the log, all legs of a call in one line."""

    def __init__(self, level: int, extras: Sequence[Extra], legs: list[LegValue]) -> None:
        self.level = level
        self.extras = extras
        self.legs = legs

    def write(self, msg: "SipMsg", kind: bytes, record: Record) -> bool:
        """Writes one record."""
        more = [(label, get(msg)) for label, get in self.extras]
        if self.legs:
            for leg in legs_of(msg, self.legs):
                more += zip((one.label for one in self.legs), leg, strict=True)
        log_line(self.level, log_text(kind, record, more).decode("utf-8", "backslashreplace"))
        return True


class DatabaseBackend:
    """Adds records to tables, each leg of a call as a row of its own."""

    def __init__(
        self, database: Database, columns: tuple[str, ...], extras: Sequence[Extra], legs: list[LegValue]
    ) -> None:
        self.database = database
        self.columns = columns
        self.extras = extras
        self.legs = legs

    def write(self, msg: "SipMsg", table: str, record: Record) -> bool:
        """Adds one record; what the database does not take is in the log instead."""
        extras = [(label, get(msg)) for label, get in self.extras]
        labels = [one.label for one in self.legs]
        legs = legs_of(msg, self.legs) if self.legs else [[]]
        done = [self.add(table, record, [*extras, *zip(labels, leg, strict=True)]) for leg in legs]
        return all(done)

    def add(self, table: str, record: Record, more: list[tuple[str, bytes]]) -> bool:
        """Adds one row."""
        try:
            self.insert(table, record, more)
        except DatabaseError as error:
            text = log_text(b"not in table " + table.encode(), record, more).decode("utf-8", "backslashreplace")
            log.error("%s (%s)", text, error)
            return False
        return True

    def insert(self, table: str, record: Record, more: list[tuple[str, bytes]]) -> None:
        """Adds one row; with shortened values where the database refuses those that there are. Raises DatabaseError."""
        try:
            self.database.insert(table, row_of(record, self.columns, more))
        except DatabaseRefused:
            short = clipped(record)
            if short == record:
                raise
            self.database.insert(table, row_of(short, self.columns, more))
