"""flatstore: rows as lines at the end of a file, for accounting (OpenSER: modules/flatstore).

The file is FOLDER/TABLE_N.log, N being the number of the process, the same after a restart (`openserctl ps` lists
them).  Fields stand between `|`.  So that a field can neither end its line nor look like two, `|`, backslashes and
control characters are written \\xHH; OpenSER does so only for binary values.
"""

import os
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from openserd.core.database.driver import Connection, Lost
from openserd.core.database.errors import DatabaseBusy
from openserd.core.database.module import DriverModule
from openserd.core.database.url import DatabaseUrl
from openserd.core.database.values import Value, check_name, seconds
from openserd.core.management.mi import Reply
from openserd.core.module import Mi, param

if TYPE_CHECKING:
    from openserd.core.context import Core

DELIMITER: Final = b"|"
SPECIAL: Final = re.compile(rb"[\x00-\x1f\x7f|\\]")
BUFFERED_BYTES: Final = 4096


class FlatStore(DriverModule):
    """The driver for URLs that begin with flatstore, such as flatstore:/var/log/acc."""

    name = "flatstore"

    flush: int = param(1)  #: 1: each line is written at once, 0: when 4096 bytes have come together

    mi = {"flat_rotate": Mi()}

    core: "Core"
    rotations: int = -1  #: the counter of calls of flat_rotate, in all processes

    def on_init(self, core: "Core") -> None:
        """Publishes the driver and makes the counter by which processes learn of a rotation."""
        super().on_init(core)
        if core.shared is not None:
            self.rotations = core.shared.counters.add("flatstore rotations")

    def rotation(self) -> int:
        """How often files were to be opened anew."""
        return self.core.memory.counters.value(self.rotations) if self.rotations >= 0 else 0

    def connect(self, url: DatabaseUrl, timeout: float) -> "FlatConnection":
        """Opens nothing yet. Raises Lost where the folder is not there."""
        if not os.path.isdir(url.path):
            raise Lost(f"there is no folder {url.path}")
        return FlatConnection(url.path, self)

    def mi_flat_rotate(self) -> Reply:
        """Has every process open its files anew before the next line."""
        self.core.memory.counters.bump(self.rotations)
        return Reply()


class FlatConnection(Connection):
    """The files of one folder that this process writes."""

    kind = "flatstore"

    def __init__(self, folder: str, module: FlatStore) -> None:
        self.folder = folder
        self.module = module
        self.files: dict[str, int] = {}
        self.waiting: dict[str, bytes] = {}
        self.rotation = module.rotation()

    def insert(self, table: str, row: Mapping[str, Value]) -> None:
        """Adds a line. Raises DatabaseBusy, with nothing of the line written, where there is no room for it."""
        self.rotate()
        text = self.waiting.get(table, b"") + DELIMITER.join(map(field, row.values())) + b"\n"
        if not self.module.flush and len(text) < BUFFERED_BYTES:
            self.waiting[table] = text
            return
        try:
            append(self.descriptor(table), text)
        except OSError as error:
            raise DatabaseBusy(f"{self.path(table)}: {error.strerror}") from None
        self.waiting.pop(table, None)

    def rotate(self) -> None:
        """Closes all files when there was a rotation."""
        now = self.module.rotation()
        if now != self.rotation:
            self.close()
            self.rotation = now

    def path(self, table: str) -> str:
        """The file of this process for a table. Raises DatabaseRefused."""
        return f"{self.folder}/{check_name(table)}_{self.module.core.process}.log"

    def descriptor(self, table: str) -> int:
        """The open file for a table."""
        if table not in self.files:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self.files[table] = os.open(self.path(table), flags, 0o640)
        return self.files[table]

    def close(self) -> None:
        """Writes what waits and closes all files."""
        for table, text in self.waiting.items():
            try:
                append(self.descriptor(table), text)
            except OSError:
                continue
        self.forget()

    def forget(self) -> None:
        """Closes all files."""
        self.waiting.clear()
        for descriptor in self.files.values():
            os.close(descriptor)
        self.files.clear()


def append(descriptor: int, text: bytes) -> None:
    """Adds whole lines to a file of this process. Raises OSError, the file as before, where they do not fit."""
    before = os.fstat(descriptor).st_size
    written = 0
    try:
        while written < len(text):
            written += os.write(descriptor, text[written:])
    except OSError:
        if written:
            os.ftruncate(descriptor, before)
        raise


def field(value: Value) -> bytes:
    """A value as OpenSER writes it; nothing for NULL."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return SPECIAL.sub(lambda found: b"\\x%02X" % found[0][0], value)
    if isinstance(value, datetime):
        return b"%d" % seconds(value)
    return b"%f" % value if isinstance(value, float) else b"%d" % value
