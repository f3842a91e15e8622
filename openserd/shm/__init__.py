"""State shared by all processes: one segment of memory, its locks, and what is built of them.

`SharedMemory` in `memory.py` is where a server begins; the names below are what everybody else needs.
"""

from openserd.shm.blobs import Blobs
from openserd.shm.counters import Counters
from openserd.shm.deadlines import Deadlines, ticks
from openserd.shm.locks import Lock, Locks, LockSet
from openserd.shm.memory import SharedMemory, Swept
from openserd.shm.record import F64, I32, I64, U8, U16, U32, U64, Bytes, Record, Ref
from openserd.shm.segment import Segment
from openserd.shm.snapshot import Snapshot
from openserd.shm.table import Table

__all__ = [
    "F64", "I32", "I64", "U8", "U16", "U32", "U64", "Blobs", "Bytes", "Counters", "Deadlines", "Lock", "LockSet",
    "Locks", "Record", "Ref", "Segment", "SharedMemory", "Snapshot", "Swept", "Table", "ticks",
]  # fmt: skip
