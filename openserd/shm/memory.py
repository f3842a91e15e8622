"""All shared memory of the server behind one object, made by the master before it forks.

    memory = SharedMemory(32, n_processes)       master: rows 0 (the master itself) to n_processes - 1
    table = memory.table("usrloc", 65536, 512)   ... tables, deadlines, counters, snapshots, locks
    memory.enter(0)                              master: again, should its pid change (daemon)
    memory.seal()                                nothing can be added any more; the heap gets the rest
    fork; memory.enter(process)                  each child first of all, with a row that nobody else uses
    memory.recover(process)                      master: after reaping a child, before the row is used again
    memory.tidy()                                timer process: every half minute or so

The layout is that of the pieces, in the order they are made (see `segment.py`), with the heap of blobs behind them.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeVar

from openserd.shm.blobs import Blobs
from openserd.shm.counters import Counters
from openserd.shm.deadlines import Deadlines
from openserd.shm.locks import Lock, Locks, LockSet, Repair
from openserd.shm.segment import MEGABYTE, Segment
from openserd.shm.snapshot import Snapshot
from openserd.shm.table import Refs, Table

T = TypeVar("T")

N_STRIPES: Final = 64
N_SWEEPS: Final = 2  #: after a death: the first finds what the process has left, the second frees it
QUIET_ROUNDS: Final = 20  #: of `tidy` without a sweep, as long as no process dies


class Swept(NamedTuple):
    """What a sweep has freed: slots of tables, and blobs."""

    n_slots: int
    n_blobs: int


class SharedMemory:
    """The server's shared memory; `megabytes` is the -m of the command line.

    ResourceError from every method that makes something, when that does not suffice.
    """

    __slots__ = (
        "_deaths",
        "_deaths_seen",
        "_quiet",
        "_roots",
        "_snapshots",
        "_sweeps_due",
        "blobs",
        "counters",
        "is_sealed",
        "locks",
        "n_processes",
        "segment",
        "tables",
    )

    def __init__(self, megabytes: int, n_processes: int) -> None:
        self.n_processes: int = n_processes
        self.segment: Segment = Segment(megabytes * MEGABYTE)
        self.locks: Locks = Locks(self.segment, n_processes)
        self.counters: Counters = Counters(self.segment, n_processes)
        self.blobs: Blobs = Blobs(self.segment, self.locks, 0, n_processes)
        self._deaths: memoryview = self.words(1)
        self._deaths_seen: int = 0
        self._sweeps_due: int = 0
        self._quiet: int = 0
        self.tables: list[Table] = []
        self.is_sealed: bool = False
        self._snapshots: list[Callable[[], Iterable[int]]] = []
        self._roots: list[Callable[[], Iterable[int]]] = []

    def table(
        self, name: str, n_slots: int, n_buckets: int, refs: Refs | None = None, n_stripes: int = N_STRIPES
    ) -> Table:
        """A new table for at most `n_slots` records; see `Table`."""
        table = Table(name, self.segment, self.locks, self.blobs, n_slots, n_buckets, n_stripes, self.n_processes, refs)
        self.tables.append(table)
        return table

    def deadlines(self, n_slots: int) -> Deadlines:
        """Due times for a table of `n_slots`."""
        return Deadlines(self.segment, n_slots)

    def snapshot(self, name: str, encode: Callable[[T], bytes], decode: Callable[[bytes], T]) -> Snapshot[T]:
        """A new value to be published; see `Snapshot`."""
        snapshot = Snapshot(name, self.segment, self.locks, self.blobs, encode, decode)
        self._snapshots.append(snapshot.refs)
        return snapshot

    def lock(self, name: str, repair: Repair | None = None) -> Lock:
        """A new lock."""
        return self.locks.lock(name, repair)

    def lock_set(self, name: str, n: int, repair: Repair | None = None) -> LockSet:
        """`n` new locks."""
        return self.locks.lock_set(name, n, repair)

    def words(self, count: int) -> memoryview:
        """`count` u32 of zero, for whoever needs a few."""
        return self.segment.words(self.segment.reserve(count * 4), count)

    def add_roots(self, refs: Callable[[], Iterable[int]]) -> None:
        """`refs()` gives blobs that are referred to from elsewhere than tables and snapshots."""
        self._roots.append(refs)

    def seal(self) -> None:
        """Lay out the counters and give the rest to the heap; by the master, just before the first fork."""
        if not self.is_sealed:
            self.counters.freeze()
            self.blobs.seal()
            self.segment.seal()
            self.is_sealed = True

    def enter(self, process: int) -> None:
        """This process is row `process` from now on."""
        self.locks.enter(process)
        self.blobs.enter(process)
        self.counters.enter(process)
        for table in self.tables:
            table.enter(process)

    def recover(self, process: int) -> list[tuple[str, int]]:
        """Undo what a process that is no more, however it ended, has left: locks, half-made lists, reserves.

        Gives (name, i) of the locks it died with.  What it had allocated but not linked is for `sweep`.
        """
        self._deaths[0] = (self._deaths[0] + 1) & 0xFFFFFFFF
        held = self.locks.free_dead(process)
        self.blobs.reclaim(process)
        for table in self.tables:
            table.reclaim(process)
        return held

    def tidy(self) -> Swept:
        """What one process does every half minute: sweeps twice after another has died, and now and then for what else
        may have been lost; gives memory that nobody uses back to the system.

        A sweep reads everything that there is: 90 ms with 100,000 locations, and 70 ms with 1000 locations and as many
        calls where it is the first of its process, which has touched none of that memory before.
        """
        deaths = self._deaths[0]
        self._quiet += 1
        if deaths != self._deaths_seen or self._quiet > QUIET_ROUNDS:
            self._deaths_seen = deaths
            self._sweeps_due = N_SWEEPS
        if not self._sweeps_due:
            self.blobs.return_slabs()
            return Swept(0, 0)
        self._sweeps_due -= 1
        self._quiet = 0
        return self.sweep()

    def sweep(self) -> Swept:
        """Free what killed processes have left unlinked; a blob only when two sweeps have found it.

        By one process, the same each time; between two sweeps passes more time than any process needs to link a blob
        that it has made.
        """
        n_slots = sum(table.sweep() for table in self.tables)
        reachable: set[int] = set()
        for table in self.tables:
            reachable.update(table.refs())
        for refs in (*self._snapshots, *self._roots):
            reachable.update(refs())
        return Swept(n_slots, self.blobs.sweep(reachable))

    def statistics(self) -> dict[str, int]:
        """OpenSER's group `shmem`, in bytes; `fragments` counts free blocks."""
        reserved = self.segment.reserved
        return {
            "total_size": self.segment.size,
            "used_size": reserved + self.blobs.used_bytes,
            "real_used_size": reserved + self.blobs.slab_bytes,
            "max_used_size": reserved + self.blobs.peak,
            "free_size": self.blobs.free_bytes,
            "fragments": self.blobs.fragments,
        }

    def close(self) -> None:
        """Give everything back to the system; nothing made here can be used after it."""
        self.locks.close()
        self.segment.close()
