"""The server's one piece of shared memory, shared by fork and by nothing else.

    byte 0          64          reserved, growing up  ->         <-  ceiling, growing down       size
      | nil page    | locks, counters, tables, snapshots ... | untouched | heap of blobs            |

The first 64 bytes are never handed out, so that an offset, a word index or a blob reference of 0 can mean "none".
Nothing here writes to the memory: pages that nobody uses are never touched and cost nothing.  The name is unlinked
as soon as it is open, so a crash leaves nothing behind in `/dev/shm`.
"""

import mmap
import os
import secrets
from typing import Final

import posix_ipc

from openserd.errors import ResourceError

MEGABYTE: Final = 1 << 20
MAX_SIZE: Final = 1 << 34  #: a word index has to fit into 32 bits
NIL_BYTES: Final = 64
SHM_FOLDER: Final = "/dev/shm"


def shm_room() -> int:
    """Bytes that the system's shared memory can still hold; MAX_SIZE where that cannot be known."""
    try:
        status = os.statvfs(SHM_FOLDER)
    except OSError:
        return MAX_SIZE
    return status.f_bavail * status.f_frsize


class Segment:
    """`size` bytes of memory shared with every process forked after it is made.

    Made and carved up by the master before the fork; afterwards only the contents change.
    """

    __slots__ = ("_sealed", "_views", "buf", "ceiling", "reserved", "size")

    def __init__(self, size: int) -> None:
        """Map `size` bytes, rounded up to pages.  ResourceError when the system has no such room."""
        size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        if size > MAX_SIZE:
            raise ResourceError(f"shared memory of {size} bytes is more than {MAX_SIZE}: lower -m")
        if size > shm_room():
            raise ResourceError(
                f"shared memory of {size // MEGABYTE} MB does not fit into {SHM_FOLDER} "
                f"({shm_room() // MEGABYTE} MB free): lower -m or enlarge {SHM_FOLDER}"
            )
        self.buf: mmap.mmap = _map(size)
        self.size: int = size
        self.reserved: int = NIL_BYTES  #: bytes handed out from the start
        self.ceiling: int = size  #: where the heap begins that grows down from the end
        self._sealed: bool = False
        self._views: list[memoryview] = []

    def reserve(self, n_bytes: int, align: int = 64) -> int:
        """Byte offset of `n_bytes` zero bytes that nobody else has.  ResourceError when exhausted."""
        if self._sealed:
            raise AssertionError("shared memory reserved after it was sealed")
        start = -(-self.reserved // align) * align
        if start + n_bytes > self.ceiling:
            least = -(-(start + n_bytes + self.size - self.ceiling) // MEGABYTE)
            raise ResourceError(
                f"shared memory exhausted: {n_bytes} bytes wanted, {self.ceiling - self.reserved} of {self.size} "
                f"left: raise -m to {least} or more"
            )
        self.reserved = start + n_bytes
        return start

    def words(self, offset: int, count: int) -> memoryview:
        """`count` u32 from byte `offset`; each is read and written by one machine instruction."""
        return self._view(offset, count * 4, "I")

    def longs(self, offset: int, count: int) -> memoryview:
        """`count` u64 from byte `offset`."""
        return self._view(offset, count * 8, "Q")

    def signed_longs(self, offset: int, count: int) -> memoryview:
        """`count` i64 from byte `offset`."""
        return self._view(offset, count * 8, "q")

    def seal(self) -> None:
        """From here on nothing can be reserved; called just before the fork."""
        self._sealed = True

    def close(self) -> None:
        """Unmap; every view given out is dead after it."""
        for view in self._views:
            view.release()
        self._views.clear()
        self.buf.close()

    def _view(self, offset: int, n_bytes: int, code: str) -> memoryview:
        if offset < 0 or offset + n_bytes > self.size:
            raise AssertionError(f"view of {n_bytes} bytes at {offset} leaves the segment")
        plain = memoryview(self.buf)[offset : offset + n_bytes]
        view = plain.cast("I") if code == "I" else plain.cast("Q") if code == "Q" else plain.cast("q")
        self._views.append(view)
        return view


def _map(size: int) -> mmap.mmap:
    """A shared mapping of `size` zero bytes whose name is gone already."""
    name = f"/openserd-{secrets.token_hex(8)}"
    try:
        memory = posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=0o600, size=size)
    except (posix_ipc.Error, OSError) as error:
        raise ResourceError(f"shared memory of {size} bytes refused by the system: {error}") from error
    memory.unlink()
    try:
        return mmap.mmap(memory.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    except (OSError, ValueError) as error:
        raise ResourceError(f"shared memory of {size} bytes cannot be mapped: {error}") from error
    finally:
        memory.close_fd()
