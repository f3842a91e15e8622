"""Values that are read often and replaced seldom: domains, permissions, gateways, sets of destinations.

    u32 version   raised by each publication, 0 nothing published yet
    u32 ref       blob that begins with u32 n_parts; n_parts 0: the value's bytes follow,
                  else so many u32 references follow, whose blobs together are the value's bytes

Publishing writes the new bytes aside and then stores ref and version under the snapshot's lock.  A reader whose
version is the current one has nothing to do; otherwise it copies the bytes under the lock and decodes them outside.
A publisher killed between the two stores has its version raised by the master.
Measured (Debian's Python 3.11): get of an unchanged value 0.11 us.
"""

import struct
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from openserd.shm.blobs import MAX_PAYLOAD, Blobs
from openserd.shm.locks import Locks
from openserd.shm.segment import Segment

T = TypeVar("T")

N_PARTS: Final = struct.Struct("<I")
VERSION: Final = 0
REF: Final = 1


class Snapshot(Generic[T]):
    """A value of which each process has its own decoded copy; copies are shared by all readers: do not change them.

    `encode` and `decode` turn it into bytes and back.
    """

    __slots__ = ("_at", "_blobs", "_decode", "_encode", "_lock", "_seen", "_value", "_words", "name")

    _value: T

    def __init__(
        self,
        name: str,
        segment: Segment,
        locks: Locks,
        blobs: Blobs,
        encode: Callable[[T], bytes],
        decode: Callable[[bytes], T],
    ) -> None:
        self.name: str = name
        self._at: int = segment.reserve(8) // 4
        self._words: memoryview = segment.words(0, segment.size // 4)
        self._blobs: Blobs = blobs
        self._encode: Callable[[T], bytes] = encode
        self._decode: Callable[[bytes], T] = decode
        self._lock = locks.lock(name, self._raise_version)
        self._seen: int = 0

    @property
    def version(self) -> int:
        """Number of the current value, 0 when nothing was published yet."""
        return self._words[self._at + VERSION]

    def publish(self, value: T) -> None:
        """Make `value` the current one for all processes.  ResourceError: the old one stays."""
        ref = self._store(self._encode(value))
        self._lock.acquire()
        try:
            old = self._words[self._at + REF]
            self._words[self._at + REF] = ref
            self._raise_version(0)
        except BaseException:
            self._lock.abandon()
            raise
        self._lock.release()
        if old:
            for part in (*self._parts(old), old):
                self._blobs.free(part)

    def get(self) -> T:
        """The current value.  AssertionError when nothing was published."""
        if self._words[self._at + VERSION] != self._seen:
            self._read()
        elif not self._seen:
            raise AssertionError(f"snapshot {self.name} read before anything was published")
        return self._value

    def refs(self) -> list[int]:
        """The blobs that hold the current value."""
        self._lock.acquire()
        try:
            ref = self._words[self._at + REF]
            return [ref, *self._parts(ref)] if ref else []
        finally:
            self._lock.release()

    def _read(self) -> None:
        """Decode the current value and keep it."""
        self._lock.acquire()
        try:
            version = self._words[self._at + VERSION]
            data = self._load(self._words[self._at + REF])
        finally:
            self._lock.release()
        self._value = self._decode(data)
        self._seen = version

    def _store(self, data: bytes) -> int:
        """Reference to a copy of `data` of any length."""
        if len(data) + N_PARTS.size <= MAX_PAYLOAD:
            return self._blobs.put(N_PARTS.pack(0) + data)
        parts: list[int] = []
        try:
            for start in range(0, len(data), MAX_PAYLOAD):
                parts.append(self._blobs.put(data[start : start + MAX_PAYLOAD]))
            return self._blobs.put(struct.pack(f"<I{len(parts)}I", len(parts), *parts))
        except Exception:
            for part in parts:
                self._blobs.free(part)
            raise

    def _load(self, ref: int) -> bytes:
        parts = self._parts(ref)
        if parts:
            return b"".join([self._blobs.get(part) for part in parts])
        return self._blobs.get(ref)[N_PARTS.size :]

    def _parts(self, ref: int) -> tuple[int, ...]:
        """References of the blobs that a long value is cut into, none for a short one."""
        head = self._blobs.get(ref)
        return struct.unpack_from(f"<{N_PARTS.unpack_from(head)[0]}I", head, N_PARTS.size)

    def _raise_version(self, _: int) -> None:
        version = self._words[self._at + VERSION]
        self._words[self._at + VERSION] = (version + 1) & 0xFFFFFFFF or 1
