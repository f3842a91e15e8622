"""Byte strings of any length in shared memory, addressed by a u32.

The heap is cut into slabs of 128 KiB.  A slab is given to a size class when the class has no free block left, and
is cut into blocks from its start as they are needed; what was never needed was never touched.

    block, at byte ref * 16          slab word, one for each slab of the segment
      0  u32 state                     0 free, else (class + 1) << 16 | number of blocks cut so far
      4  u32 length in bytes, or
         the next free block         for each class
      8  the bytes                     u32 head, u32 count of its free list; u32 slab being cut; u64 bytes taken

    state:  0 free, in the class's list       process << 2 | 1 reserved: in that process's private list
            stamp << 12 | process << 2 | 2 used; the stamp tells two uses of a block by one process apart

A private list is a plain Python list: `put` pops a block and stores its state, `free` stores and appends, neither
takes a lock.  Lists are filled and emptied under the lock of the class.

The states are the truth.  A process killed anywhere leaves blocks reserved (`reclaim`), a list half changed
(`rebuild`, called while the dead still has the lock) or bytes that nothing refers to (`sweep`).  A reference is
published by whoever stores it after `put`, and withdrawn before `free`; both are one u32.

Measured (Debian's Python 3.11): put, get and free of 900 bytes 1.0 us together.
"""

import mmap
import os
from collections.abc import Container, Iterator
from typing import Final

from openserd.errors import ResourceError
from openserd.shm.freelist import FREE, MAX_PROCESSES, STATE_MASK, USED, FreeList, reserved_by
from openserd.shm.locks import Locks
from openserd.shm.segment import MEGABYTE, Segment

SLAB_BYTES: Final = 1 << 17
SLAB_WORDS: Final = SLAB_BYTES // 4
SLAB_SHIFT: Final = 15  #: word index >> SLAB_SHIFT is the slab's number
CARVED_MASK: Final = 0xFFFF
CLASS_SHIFT: Final = 16

HEADER_BYTES: Final = 8
MAX_PAYLOAD: Final = SLAB_BYTES - HEADER_BYTES

CLASS_BYTES: Final = (
    64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384, 32768, 65536, 131072,
)  # fmt: skip
N_CLASSES: Final = len(CLASS_BYTES)
CLASS_WORDS: Final = tuple(size // 4 for size in CLASS_BYTES)
CAPACITY: Final = tuple(SLAB_BYTES // size for size in CLASS_BYTES)
GRAIN_SHIFT: Final = 5
#: class of a block of n bytes, header included: CLASS_OF[n + 31 >> 5]
CLASS_OF: Final = bytes(
    next(i for i, size in enumerate(CLASS_BYTES) if size >= n << GRAIN_SHIFT)
    for n in range((SLAB_BYTES >> GRAIN_SHIFT) + 1)
)
ROUND_UP: Final = HEADER_BYTES + (1 << GRAIN_SHIFT) - 1

#: blocks moved at once between a class's list and a private one; a private list holds at most LIMIT
BATCH: Final = tuple(max(1, min(16, 16384 // size)) for size in CLASS_BYTES)
LIMIT: Final = tuple(2 * n if n > 1 else 1 for n in BATCH)
LARGER_CLASSES: Final = 5  #: how many classes are tried when the right one has nothing left

STAMP_STEP: Final = 1 << 12
STAMP_MASK: Final = 0xFFFFF000


class Blobs:
    """The heap.  `n_bytes` of it, or everything that nobody reserves until `seal` when `n_bytes` is 0."""

    __slots__ = (
        "_buf", "_by_size", "_cut", "_free", "_locks", "_lowest", "_map", "_n_processes", "_private", "_process",
        "_reserved", "_segment", "_slab_lock", "_stamp", "_suspects", "_taken", "_used", "_words", "floor",
        "is_sealed", "top",
    )  # fmt: skip

    def __init__(self, segment: Segment, locks: Locks, n_bytes: int, n_processes: int) -> None:
        if n_processes > MAX_PROCESSES:
            raise ResourceError(f"{n_processes} processes are more than {MAX_PROCESSES}")
        self._segment: Segment = segment
        self._buf: mmap.mmap = segment.buf
        self._words: memoryview = segment.words(0, segment.size // 4)
        self._n_processes: int = n_processes
        self._map: int = segment.reserve((segment.size // SLAB_BYTES + 1) * 4) // 4
        self._taken: memoryview = segment.longs(segment.reserve((N_CLASSES + 1) * 8), N_CLASSES + 1)
        lists = segment.reserve(N_CLASSES * 8)
        self._free: list[FreeList] = [FreeList(self._words, lists + i * 8) for i in range(N_CLASSES)]
        self._cut: int = segment.reserve(N_CLASSES * 4) // 4
        self._lowest: int = segment.reserve(4) // 4
        self._locks = locks.lock_set("blobs", N_CLASSES, self.rebuild)
        self._slab_lock = locks.lock("slabs")
        self.is_sealed: bool = n_bytes > 0
        self.floor: int = 0  #: number of the lowest slab, once sealed
        self.top: int = segment.size // SLAB_BYTES  #: one past the highest
        if n_bytes:
            start = segment.reserve(-(-n_bytes // SLAB_BYTES) * SLAB_BYTES, SLAB_BYTES)
            self.floor = start // SLAB_BYTES
            self.top = segment.reserved // SLAB_BYTES
        self._words[self._lowest] = self.top
        self._suspects: dict[int, int] = {}
        self._private: list[list[int]] = [[] for _ in range(N_CLASSES)]
        self._by_size: list[list[int]] = [self._private[number] for number in CLASS_OF]
        self._process: int = 0
        self._reserved: int = reserved_by(0)
        self._used: int = USED
        self._stamp: int = 0

    def seal(self) -> None:
        """Fix the heap at what nobody has reserved; by the master, before the fork."""
        self.floor = self._floor()
        self.is_sealed = True

    def enter(self, process: int) -> None:
        """This process is `process` from now on; the private lists of whoever forked it are not its own."""
        if process == self._process:
            return
        for units in self._private:
            units.clear()
        self._process = process
        self._reserved = reserved_by(process)
        self._used = process << 2 | USED
        self._stamp = os.getpid() << 12 & STAMP_MASK  # not where a predecessor in this row began

    def put(self, data: bytes) -> int:
        """A reference to a copy of `data`, never 0.  ResourceError when memory is exhausted."""
        n_bytes = len(data)
        try:
            units = self._by_size[(n_bytes + ROUND_UP) >> GRAIN_SHIFT]
        except IndexError:
            raise ResourceError(f"a value of {n_bytes} bytes is more than {MAX_PAYLOAD}") from None
        if not units:
            units = self._refill(CLASS_OF[(n_bytes + ROUND_UP) >> GRAIN_SHIFT])
        unit = units.pop()
        start = (unit << 2) + HEADER_BYTES
        self._buf[start : start + n_bytes] = data
        words = self._words
        words[unit + 1] = n_bytes
        self._stamp = stamp = (self._stamp + STAMP_STEP) & STAMP_MASK
        words[unit] = stamp | self._used
        return unit >> 2

    def get(self, ref: int) -> bytes:
        """A copy of what `ref` refers to; the caller's lock keeps it from being freed meanwhile."""
        words = self._words
        unit = ref << 2
        if words[unit] & STATE_MASK != USED:
            raise AssertionError(f"blob {ref} read after it was freed")
        start = (unit << 2) + HEADER_BYTES
        return self._buf[start : start + words[unit + 1]]

    def size(self, ref: int) -> int:
        """Length in bytes of what `ref` refers to."""
        if self._words[ref << 2] & STATE_MASK != USED:
            raise AssertionError(f"blob {ref} read after it was freed")
        return self._words[(ref << 2) + 1]

    def free(self, ref: int) -> None:
        """Give the bytes back; nobody may refer to them any more.  AssertionError when that was done before."""
        unit = ref << 2
        words = self._words
        if words[unit] & STATE_MASK != USED:
            raise AssertionError(f"blob {ref} freed twice")
        words[unit] = self._reserved
        number = (words[self._map + (unit >> SLAB_SHIFT)] >> CLASS_SHIFT) - 1
        units = self._private[number]
        units.append(unit)
        if len(units) > LIMIT[number]:
            self._spill(number)

    def is_used(self, ref: int) -> bool:
        """True when `ref` can be read."""
        return self._words[ref << 2] & STATE_MASK == USED

    @property
    def heap_bytes(self) -> int:
        """All bytes of the heap."""
        return (self.top - self._floor()) * SLAB_BYTES

    @property
    def used_bytes(self) -> int:
        """Bytes of all blocks that are used or in a private list."""
        return sum(self._taken[:N_CLASSES].tolist())

    @property
    def free_bytes(self) -> int:
        """Bytes that can still be had, by one size class or another."""
        return self.heap_bytes - self.used_bytes

    @property
    def slab_bytes(self) -> int:
        """Bytes of all slabs that belong to a class."""
        words = self._words
        slabs = words[self._map + words[self._lowest] : self._map + self.top].tolist()
        return (len(slabs) - slabs.count(0)) * SLAB_BYTES

    @property
    def peak(self) -> int:
        """The most that `used_bytes` has been."""
        return self._taken[N_CLASSES]

    @property
    def fragments(self) -> int:
        """Free blocks in the lists of all classes."""
        return sum(len(free) for free in self._free)

    def used_refs(self) -> Iterator[int]:
        """Each reference in use, slab by slab, as of about now."""
        for number in range(N_CLASSES):
            for unit, _ in self._used_units(number):
                yield unit >> 2

    def reclaim(self, process: int) -> int:
        """Free what lay in the private lists of the dead `process`; how many blocks.  By the master."""
        mark = reserved_by(process)
        n_blocks = 0
        for number in range(N_CLASSES):
            self._locks.acquire(number)  # keeps the class's slabs its own meanwhile
            try:
                units = [unit for unit, state in self._units(number, mark) if state == mark]
                if units:
                    self._put_back(number, units)
                    n_blocks += len(units)
            except BaseException:
                self._locks.abandon(number)
                raise
            self._locks.release(number)
        return n_blocks

    def rebuild(self, number: int) -> None:
        """Make the free list of class `number` anew from the blocks' states; its lock is held, if by a dead process."""
        words = self._words
        self._free[number].clear()
        n_cut = 0
        cutting = 0
        for slab in self._slabs(number):
            carved = words[self._map + slab] & CARVED_MASK
            n_cut += carved
            if carved < CAPACITY[number]:
                cutting = slab
        words[self._cut + number] = cutting
        n_free = self._free[number].rebuild(unit for unit, state in self._units(number) if state == FREE)
        self._taken[number] = (n_cut - n_free) * CLASS_BYTES[number]

    def sweep(self, reachable: Container[int]) -> int:
        """Free the blobs that nothing refers to, now and at the last sweep; how many.

        `reachable` holds every reference that is stored anywhere.  A reference may be in nobody's hands but a
        process's own for less than the time between two sweeps.  One process sweeps; slabs that became free
        are free for any size class afterwards, and the system has their memory back.
        """
        suspects: dict[int, int] = {}
        n_blobs = 0
        for number in range(N_CLASSES):
            orphans: list[tuple[int, int]] = []
            for unit, state in self._used_units(number):
                if unit >> 2 in reachable:
                    continue
                if self._suspects.get(unit) == state:
                    orphans.append((unit, state))
                else:
                    suspects[unit] = state
            if orphans:
                n_blobs += self._free_orphans(number, orphans)
            self._return_slabs(number)
        self._suspects = suspects
        return n_blobs

    def return_slabs(self) -> int:
        """Give slabs that nobody uses to whatever size class needs them next, their memory to the system; how many."""
        return sum(map(self._return_slabs, range(N_CLASSES)))

    def _free_orphans(self, number: int, orphans: list[tuple[int, int]]) -> int:
        """Free those of a class that are still what they were; how many."""
        words = self._words
        self._locks.acquire(number)
        try:
            slabs = set(self._slabs(number))
            units = [unit for unit, state in orphans if words[unit] == state and unit >> SLAB_SHIFT in slabs]
            self._put_back(number, units)
        except BaseException:
            self._locks.abandon(number)
            raise
        self._locks.release(number)
        return len(units)

    def _floor(self) -> int:
        return self.floor if self.is_sealed else -(-self._segment.reserved // SLAB_BYTES)

    def _slabs(self, number: int) -> list[int]:
        """Numbers of the slabs that belong to a class."""
        words = self._words
        lowest = words[self._lowest]
        slabs = words[self._map + lowest : self._map + self.top].tolist()
        return [slab for slab, word in enumerate(slabs, lowest) if word >> CLASS_SHIFT == number + 1]

    def _units(self, number: int, mark: int = FREE) -> Iterator[tuple[int, int]]:
        """(unit, state) of the blocks cut so far in each slab of a class that has a block with state `mark`.

        The class's lock, since slabs come and go under it.
        """
        words = self._words
        step = CLASS_WORDS[number]
        for slab in self._slabs(number):
            first = slab * SLAB_WORDS
            carved = words[self._map + slab] & CARVED_MASK
            states = words[first : first + carved * step : step].tolist()
            if mark in states:
                yield from zip(range(first, first + carved * step, step), states, strict=True)

    def _used_units(self, number: int) -> Iterator[tuple[int, int]]:
        """(unit, state) of the blocks in use of a class; takes its lock for each slab, and yields without it."""
        words = self._words
        step = CLASS_WORDS[number]
        for slab in self._slabs(number):
            first = slab * SLAB_WORDS
            self._locks.acquire(number)
            try:
                word = words[self._map + slab]
                n_cut = word & CARVED_MASK if word >> CLASS_SHIFT == number + 1 else 0
                states = words[first : first + n_cut * step : step].tolist()
            except BaseException:
                self._locks.abandon(number)
                raise
            self._locks.release(number)
            for i, state in enumerate(states):
                if state & STATE_MASK == USED:
                    yield first + i * step, state

    def _refill(self, number: int) -> list[int]:
        """A private list that is not empty: of class `number`, or of a larger one when that is exhausted."""
        if self._fill(number) or (self._collect_slabs() and self._fill(number)):
            return self._private[number]
        for larger in range(number + 1, min(number + LARGER_CLASSES, N_CLASSES)):
            if self._private[larger] or self._fill(larger):
                return self._private[larger]
        least = -(-(self._segment.size + MEGABYTE) // MEGABYTE)
        raise ResourceError(
            f"shared memory exhausted: no block of {CLASS_BYTES[number]} bytes left, {self.used_bytes} of "
            f"{self.heap_bytes} bytes used: raise -m to {least} or more"
        )

    def _fill(self, number: int) -> bool:
        """True when the private list of a class could be filled."""
        self._locks.acquire(number)
        try:
            units = self._take(number)
        except BaseException:
            self._locks.abandon(number)
            raise
        self._locks.release(number)
        self._private[number].extend(units)
        return bool(units)

    def _collect_slabs(self) -> bool:
        """True when some class with many free blocks had slabs to give away."""
        n_slabs = 0
        for number in range(N_CLASSES):
            if len(self._free[number]) >= CAPACITY[number]:
                n_slabs += self._return_slabs(number)
        return n_slabs > 0

    def _take(self, number: int) -> list[int]:
        """Some blocks of a class, reserved by this process; its lock is held."""
        units = self._free[number].take(BATCH[number], self._process) or self._carve(number)
        taken = self._taken
        taken[number] += len(units) * CLASS_BYTES[number]
        total = sum(taken[:N_CLASSES].tolist())
        if total > taken[N_CLASSES]:
            taken[N_CLASSES] = total
        return units

    def _carve(self, number: int) -> list[int]:
        """Blocks never used before in this slab, reserved; empty when there is no slab left."""
        words = self._words
        slab = words[self._cut + number]
        if not slab or words[self._map + slab] & CARVED_MASK >= CAPACITY[number]:
            slab = self._new_slab(number)
            if not slab:
                return []
            words[self._cut + number] = slab
        carved = words[self._map + slab] & CARVED_MASK
        n_blocks = min(BATCH[number], CAPACITY[number] - carved)
        step = CLASS_WORDS[number]
        first = slab * SLAB_WORDS + carved * step
        units = list(range(first, first + n_blocks * step, step))
        for unit in units:
            words[unit] = self._reserved
        words[self._map + slab] += n_blocks  # one store: from here on the blocks exist
        units.reverse()
        return units

    def _new_slab(self, number: int) -> int:
        """Number of a slab that now belongs to the class, 0 when there is none; the class's lock is held."""
        words = self._words
        self._slab_lock.acquire()
        try:
            slab = self._find_slab()
            if slab:
                words[self._map + slab] = (number + 1) << CLASS_SHIFT
        finally:
            self._slab_lock.release()
        return slab

    def _find_slab(self) -> int:
        """Number of a slab that belongs to no class, 0 when there is none; the lock of all slabs is held."""
        words = self._words
        lowest = words[self._lowest]
        slabs = words[self._map + lowest : self._map + self.top].tolist()
        if 0 in slabs:
            return lowest + slabs.index(0)
        if lowest <= self._floor():
            return 0
        words[self._lowest] = lowest - 1
        if not self.is_sealed:
            self._segment.ceiling = (lowest - 1) * SLAB_BYTES
        return lowest - 1

    def _spill(self, number: int) -> None:
        """Give half of a private list back, the blocks freed longest ago."""
        units = self._private[number]
        oldest = units[: (len(units) + 1) // 2]
        del units[: len(oldest)]
        self._give(number, oldest)

    def _give(self, number: int, units: list[int]) -> None:
        """Free these blocks of a class."""
        self._locks.acquire(number)
        try:
            self._put_back(number, units)
        except BaseException:
            self._locks.abandon(number)
            raise
        self._locks.release(number)

    def _put_back(self, number: int, units: list[int]) -> None:
        self._free[number].give(units)
        self._taken[number] -= len(units) * CLASS_BYTES[number]

    def _return_slabs(self, number: int) -> int:
        """Take the slabs without a used or reserved block away from a class; how many."""
        if not len(self._free[number]):
            return 0
        self._locks.acquire(number)
        try:
            slabs = [slab for slab in self._slabs(number) if self._is_unused(number, slab)]
            if slabs:
                self._free[number].clear()
                self._words[self._cut + number] = 0
                for slab in slabs:
                    self._buf.madvise(mmap.MADV_REMOVE, slab * SLAB_BYTES, SLAB_BYTES)
                    self._words[self._map + slab] = 0  # from here on any class can have it
                self.rebuild(number)
        except BaseException:
            self._locks.abandon(number)
            raise
        self._locks.release(number)
        return len(slabs)

    def _is_unused(self, number: int, slab: int) -> bool:
        words = self._words
        first = slab * SLAB_WORDS
        carved = words[self._map + slab] & CARVED_MASK
        return not any(words[first : first + carved * CLASS_WORDS[number] : CLASS_WORDS[number]].tolist())
