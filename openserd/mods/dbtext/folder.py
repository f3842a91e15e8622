"""A folder of tables, as one process sees it: files read when they have changed, written whole, one writer at a time.

The lock is on the folder itself (flock): it ends with whoever holds it.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from openserd.core.database.driver import Connection
from openserd.core.database.errors import DatabaseBusy, DatabaseError, DatabaseRefused
from openserd.core.database.values import Row, Value, Where, check_name
from openserd.mods.dbtext.table import Table

Stamp = tuple[int, int, int]  #: inode, time of the last change in ns, size
PAUSE = 0.005  #: seconds between two looks at a lock


class Folder(Connection):
    """The tables of one folder.

    `tables_read` holds each file's stamp with its rows; `changed` the tables of a transaction in progress.
    """

    kind = "dbtext"

    def __init__(self, path: str, timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        self.tables_read: dict[str, tuple[Stamp, Table]] = {}
        self.changed: dict[str, Table] = {}
        self.lock = -1

    def limit(self, seconds: float) -> None:
        """Bounds the wait for another process that writes."""
        self.timeout = seconds

    # -- operations -----------------------------------------------------------------------------------------

    def query(self, table: str, columns: Sequence[str] = (), where: Where = (), order: str = "") -> list[Row]:
        """Rows that meet all conditions."""
        return self.table(table).select(columns, where, order)

    def insert(self, table: str, row: Mapping[str, Value]) -> None:
        """Adds a row."""
        self.insert_many(table, tuple(row), [tuple(row.values())])

    def insert_many(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        """Adds rows, all or none."""
        self.change(table, lambda found: (found.inserted(columns, rows), len(rows)))

    def update(self, table: str, changes: Mapping[str, Value], where: Where = ()) -> int:
        """Changes rows."""
        return self.change(table, lambda found: found.updated(changes, where))

    def delete(self, table: str, where: Where = ()) -> int:
        """Removes rows."""
        return self.change(table, lambda found: found.deleted(where))

    def replace(self, table: str, row: Mapping[str, Value], keys: Sequence[str]) -> None:
        """Changes or adds a row while no other process writes."""
        if self.lock >= 0:
            super().replace(table, row, keys)
            return
        self.begin()
        try:
            super().replace(table, row, keys)
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def tables(self) -> list[str]:
        """The files whose names could be those of tables."""
        return sorted(name for name in os.listdir(self.path) if name.isidentifier())

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns."""
        try:
            return [column.name for column in self.table(table).columns]
        except DatabaseRefused:
            if os.path.exists(self.file(table)):
                raise
            return []

    def close(self) -> None:
        """Lets go of the folder."""
        self.rollback()
        self.tables_read.clear()

    def forget(self) -> None:
        """Lets go of the folder; a lock of the parent's stays with the parent."""
        self.tables_read.clear()
        self.changed.clear()
        self.lock = -1

    # -- transactions ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Keeps other processes from writing until `commit` or `rollback`."""
        with translated():
            self.lock = self.locked()

    def commit(self) -> None:
        """Writes the tables that were changed, each whole; between two of them the machine may stop."""
        try:
            with translated():
                for table in self.changed.values():
                    self.write(table)
        finally:
            self.rollback()

    def rollback(self) -> None:
        """Forgets what was changed and not written."""
        self.changed.clear()
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def change(self, name: str, how: "Callable[[Table], tuple[Table, int]]") -> int:
        """Changes a table: in a transaction for later, else at once; how many rows."""
        if self.lock >= 0:
            before = self.table(name)
            table, count = how(before)
            if table is not before:
                self.changed[table.name] = table
            return count
        self.begin()
        try:
            count = self.change(name, how)
            self.commit()
        finally:
            self.rollback()
        return count

    def locked(self) -> int:
        """A descriptor of the folder with its lock. Raises DatabaseBusy where another process keeps it too long."""
        deadline = time.monotonic() + self.timeout
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise DatabaseBusy(f"{self.path} is locked by another process") from None
                time.sleep(PAUSE)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                return descriptor

    # -- files ----------------------------------------------------------------------------------------------

    def file(self, name: str) -> str:
        """The path of a table. Raises DatabaseRefused for what is no name."""
        return f"{self.path}/{check_name(name)}"

    def table(self, name: str) -> Table:
        """A table as it is now. Raises DatabaseRefused, DatabaseBusy."""
        changed = self.changed.get(name)
        if changed is not None:
            return changed
        with translated():
            try:
                stamp = stamp_of(os.stat(self.file(name)))
            except FileNotFoundError:
                self.tables_read.pop(name, None)
                raise DatabaseRefused(f"there is no table {name} in {self.path}") from None
            known = self.tables_read.get(name)
            if known is None or known[0] != stamp:
                known = self.tables_read[name] = self.read(name)
            return known[1]

    def read(self, name: str) -> tuple[Stamp, Table]:
        """A table from its file, with the stamp of what was read."""
        with open(self.file(name), "rb") as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            return stamp, Table.parse(name, file.read())

    def write(self, table: Table) -> None:
        """Puts a whole new file in the place of a table's. Raises OSError, with the old file still there."""
        path = self.file(table.name)
        new = f"{self.path}/.{table.name}.new"
        try:
            with open(new, "wb") as file:
                keep_owner(path, file.fileno())
                file.write(table.text())
                file.flush()
                os.fdatasync(file.fileno())
                stamp = stamp_of(os.fstat(file.fileno()))
            os.rename(new, path)
        except OSError:
            with suppress(OSError):
                os.unlink(new)
            raise
        self.tables_read[table.name] = (stamp, table)


def stamp_of(found: os.stat_result) -> Stamp:
    """What changes when a file is written."""
    return found.st_ino, found.st_mtime_ns, found.st_size


def keep_owner(path: str, descriptor: int) -> None:
    """Gives a new file the owner and the permissions of the one that it will replace."""
    try:
        old = os.stat(path)
    except FileNotFoundError:
        return
    os.fchmod(descriptor, old.st_mode & 0o7777)
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.fchown(descriptor, old.st_uid, old.st_gid)


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the file system as our own: it may be full now, or not allowed, and not later."""
    try:
        yield
    except DatabaseError:
        raise
    except OSError as error:
        raise DatabaseBusy(f"{error.filename or 'dbtext'}: {error.strerror}") from None
