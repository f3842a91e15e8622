"""Hash tables in shared memory: records found by key, or at once by slot number and generation.

    bucket  u32       first slot of the chain of all keys with hash & (n_buckets - 1) == bucket
    slot    20 bytes
      0  u32 state       0 free, process << 2 | 1 reserved by a process, length of key << 16 | process << 2 | 2 used
      4  u32 next        next slot of the chain, of the free list when free; as word index, 0 ends
      8  u32 hash        32 bits of the interpreter's hash of the key, which all processes share
     12  u32 generation  how often the slot has been used, from 1; raised when the record is removed
     16  u32 ref         blob that holds key and payload, 0 none
    head of the free list, count, high-water mark: three u32

Slot numbers count from 1; slot 0 is nil.  A record is changed under the lock of its stripe, hash modulo n_stripes:

    insert   blob, slot filled, chain's head = slot        killed before the last store: nobody saw it
    replace  new blob, slot's ref = new, old one freed     killed before the second: the old record
    remove   unlinked, generation raised, ref = 0, freed   killed after the first: the record is gone

What such a process leaves behind is found by `reclaim` (private reserve), `sweep` (slots in no chain) and
`Blobs.sweep`.  Slots freed last are used first, so that live slots stay below a high-water mark that only grows.

Measured (Debian's Python 3.11, lock included): insert 3.7, find and payload 2.0, payload by slot 1.6, replace
2.4, find and remove 3.6 us.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from openserd.errors import ResourceError
from openserd.shm.blobs import HEADER_BYTES, Blobs
from openserd.shm.freelist import FREE, MAX_PROCESSES, STATE_MASK, USED, FreeList, reserved_by
from openserd.shm.locks import Locks, LockSet
from openserd.shm.segment import Segment

SLOT_WORDS: Final = 5
STATE: Final = 0
NEXT: Final = 1
HASH: Final = 2
GENERATION: Final = 3
REF: Final = 4

MAX_KEY: Final = 0xFFFF
KEY_SHIFT: Final = 16
GENERATION_MASK: Final = 0xFFFFFFFF
BATCH: Final = 16
CHUNK: Final = 4096  #: slots looked at together by the scans

Refs = Callable[[bytes], Iterable[int]]


def key_hash(key: bytes) -> int:
    """The u32 by which a key is found.  Whoever chooses keys cannot tell which ones would meet in one bucket."""
    return hash(key) & 0xFFFFFFFF


class Table:
    """Records by key: a key of at most 65535 bytes, a payload of bytes.

    Made by the master before the fork.  `n_slots` is the most records it holds, `n_buckets` and `n_stripes` are powers
    of two.  `refs(payload)` gives the blobs that a record owns besides its own; who removes a record frees them.
    """

    __slots__ = (
        "_batch", "_blobs", "_bucket_mask", "_buckets", "_buf", "_free", "_high", "_private", "_process", "_refs",
        "_reserved", "_slot_lock", "_slots", "_used", "_words", "hash", "n_slots", "name", "stripes",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        segment: Segment,
        locks: Locks,
        blobs: Blobs,
        n_slots: int,
        n_buckets: int,
        n_stripes: int = 64,
        n_processes: int = 1,
        refs: Refs | None = None,
    ) -> None:
        n_stripes = min(n_stripes, n_buckets)
        if n_buckets & (n_buckets - 1) or n_stripes & (n_stripes - 1) or n_stripes < 1 or n_slots < 1:
            raise AssertionError(f"table {name}: {n_slots} slots, {n_buckets} buckets, {n_stripes} stripes")
        if n_processes > MAX_PROCESSES:
            raise ResourceError(f"{n_processes} processes are more than {MAX_PROCESSES}")
        self.hash: Final[Callable[[bytes], int]] = key_hash  #: of a key: the u32 that methods want beside it
        self.name: str = name
        self.n_slots: int = n_slots
        self._words: memoryview = segment.words(0, segment.size // 4)
        self._buf: mmap.mmap = segment.buf
        self._blobs: Blobs = blobs
        self._refs: Refs | None = refs
        self._buckets: int = segment.reserve(n_buckets * 4) // 4
        self._slots: int = segment.reserve((n_slots + 1) * SLOT_WORDS * 4) // 4
        head = segment.reserve(12)
        self._free: FreeList = FreeList(self._words, head)
        self._high: int = head // 4 + 2
        self._bucket_mask: int = n_buckets - 1
        self.stripes: LockSet = locks.lock_set(name, n_stripes)  #: `stripes.acquire(hash)` locks a record's stripe
        self._slot_lock = locks.lock(f"{name} slots", self._rebuild)
        self._batch: int = max(1, min(BATCH, n_slots // (4 * n_processes)))
        self._private: list[int] = []
        self._process: int = 0
        self._reserved: int = reserved_by(0)
        self._used: int = USED

    def enter(self, process: int) -> None:
        """This process is `process` from now on."""
        if process != self._process:
            self._private.clear()
            self._process = process
            self._reserved = reserved_by(process)
            self._used = process << 2 | USED

    def find(self, key: bytes, hash: int) -> int:
        """Slot of the record with `key`, 0 none.  Stripe lock."""
        words = self._words
        at = words[self._buckets + (hash & self._bucket_mask)]
        while at:
            if words[at + HASH] == hash and words[at] >> KEY_SHIFT == len(key):
                start = (words[at + REF] << 4) + HEADER_BYTES
                if self._buf[start : start + len(key)] == key:
                    return (at - self._slots) // SLOT_WORDS
            at = words[at + NEXT]
        return 0

    def reserve(self) -> int:
        """A slot of this process's own for `insert`, so that its number is known before there is a record.

        ResourceError when the table is exhausted.  Killed with it: `reclaim` frees the slot.
        """
        if not self._private:
            self._refill()
        return (self._private.pop() - self._slots) // SLOT_WORDS

    def give_back(self, slot: int) -> None:
        """Undo `reserve`."""
        self._private.append(self._slots + slot * SLOT_WORDS)

    def insert(self, key: bytes, hash: int, payload: bytes, slot: int = 0) -> int:
        """Slot of a new record, `slot` if one was reserved; `key` must not be in the table.  Stripe lock.

        ResourceError when the table or memory is exhausted; nothing has changed then.
        """
        if len(key) > MAX_KEY:
            raise ResourceError(f"table {self.name}: key of {len(key)} bytes is more than {MAX_KEY}")
        if not slot and not self._private:
            self._refill()
        ref = self._blobs.put(key + payload)
        at = self._slots + slot * SLOT_WORDS if slot else self._private.pop()
        bucket = self._buckets + (hash & self._bucket_mask)
        words = self._words
        words[at + HASH] = hash
        words[at + REF] = ref
        words[at + NEXT] = words[bucket]
        words[at] = len(key) << KEY_SHIFT | self._used
        words[bucket] = at
        return (at - self._slots) // SLOT_WORDS

    def payload(self, slot: int) -> bytes:
        """A copy of the record's payload.  Stripe lock."""
        words = self._words
        at = self._slots + slot * SLOT_WORDS
        ref = words[at + REF]
        start = (ref << 4) + HEADER_BYTES
        return self._buf[start + (words[at] >> KEY_SHIFT) : start + words[(ref << 2) + 1]]

    def payload_of(self, slot: int, generation: int) -> bytes | None:
        """As `payload`, None where the record is not the one that had this generation; any numbers may be asked."""
        if not 0 < slot <= self.n_slots:
            return None
        words = self._words
        at = self._slots + slot * SLOT_WORDS
        word = words[at]
        if words[at + GENERATION] != generation or word & STATE_MASK != USED:
            return None
        ref = words[at + REF]
        start = (ref << 4) + HEADER_BYTES
        return self._buf[start + (word >> KEY_SHIFT) : start + words[(ref << 2) + 1]]

    def key(self, slot: int) -> bytes:
        """A copy of the record's key.  Stripe lock."""
        words = self._words
        at = self._slots + slot * SLOT_WORDS
        start = (words[at + REF] << 4) + HEADER_BYTES
        return self._buf[start : start + (words[at] >> KEY_SHIFT)]

    def replace(self, slot: int, payload: bytes) -> None:
        """Give the record another payload.  Stripe lock.  ResourceError: the old one stays."""
        words = self._words
        at = self._slots + slot * SLOT_WORDS
        old = words[at + REF]
        start = (old << 4) + HEADER_BYTES
        words[at + REF] = self._blobs.put(self._buf[start : start + (words[at] >> KEY_SHIFT)] + payload)
        self._blobs.free(old)

    def remove(self, slot: int) -> None:
        """Take the record out and free it.  Stripe lock.  AssertionError when it is not in the table."""
        words = self._words
        at = self._slots + slot * SLOT_WORDS
        link = self._find_link(at)
        if not link:
            raise AssertionError(f"table {self.name}: slot {slot} removed, which is in no chain")
        words[link] = words[at + NEXT]
        self._release(at)
        self._private.append(at)
        if len(self._private) > 2 * self._batch:
            self._spill()

    def hash_of(self, slot: int) -> int:
        """The record's hash; to know which stripe to lock before `is_live` is asked (again)."""
        return self._words[self._slots + slot * SLOT_WORDS + HASH] if 0 < slot <= self.n_slots else 0

    def generation(self, slot: int) -> int:
        """What makes the slot's number unique, never 0 for a live one.  Stripe lock, or the caller's luck."""
        return self._words[self._slots + slot * SLOT_WORDS + GENERATION]

    def is_live(self, slot: int, generation: int) -> bool:
        """True when the record is still the one that had this slot and generation; any numbers may be asked.

        Stripe lock of `hash_of(slot)`, when the answer has to last.
        """
        if not 0 < slot <= self.n_slots:
            return False
        at = self._slots + slot * SLOT_WORDS
        words = self._words
        return words[at + GENERATION] == generation and words[at] & STATE_MASK == USED

    @property
    def high_water(self) -> int:
        """The highest slot number that was ever used."""
        return self._words[self._high]

    @property
    def used(self) -> int:
        """How many records there are; looks at every slot up to the high-water mark (40 us for 1000)."""
        n_used = 0
        for start in range(1, self.high_water + 1, CHUNK):
            states = self._column(STATE, start, min(start + CHUNK, self.high_water + 1))
            n_used += len([state for state in states if state & STATE_MASK == USED])
        return n_used

    def slots(self) -> Iterator[int]:
        """Slots in use as of about now, ascending; the caller locks each and asks again."""
        for start in range(1, self.high_water + 1, CHUNK):
            end = min(start + CHUNK, self.high_water + 1)
            for slot, state in enumerate(self._column(STATE, start, end), start):
                if state & STATE_MASK == USED:
                    yield slot

    def refs(self) -> Iterator[int]:
        """Every blob that the table's records refer to; takes stripe locks when the records own further blobs."""
        for start in range(1, self.high_water + 1, CHUNK):
            end = min(start + CHUNK, self.high_water + 1)
            states = self._column(STATE, start, end)
            for slot, (state, ref) in enumerate(zip(states, self._column(REF, start, end), strict=True), start):
                if state & STATE_MASK == USED:
                    yield ref
                    if self._refs is not None:
                        yield from self._owned(slot, self._refs)

    def reclaim(self, process: int) -> int:
        """Free the slots that the dead `process` had in reserve; how many.  By the master."""
        mark = reserved_by(process)
        units = [unit for unit, state in self._units() if state == mark]
        if units:
            self._give(units)
        return len(units)

    def sweep(self) -> int:
        """Free the slots in use that are in no chain, left by a process killed between two steps; how many.

        Exact: a slot is judged under the lock that whoever inserts or removes it has to hold.
        """
        lost = self._unlinked()
        freed = [at for at in lost if self._free_if_unlinked(at)]
        if freed:
            self._give(freed)
        return len(freed)

    def _release(self, at: int) -> None:
        """Make an unlinked slot and its blob this process's own; stripe lock."""
        words = self._words
        ref = words[at + REF]
        words[at + GENERATION] = (words[at + GENERATION] + 1) & GENERATION_MASK or 1
        words[at + REF] = 0
        words[at] = self._reserved
        if ref:
            self._blobs.free(ref)

    def _find_link(self, at: int) -> int:
        """Index of the word that points to slot word `at`, 0 when none does; stripe lock."""
        words = self._words
        link = self._buckets + (words[at + HASH] & self._bucket_mask)
        while words[link]:
            if words[link] == at:
                return link
            link = words[link] + NEXT
        return 0

    def _unlinked(self) -> list[int]:
        """Word indexes of used slots that a walk through all chains, without a lock, has not met."""
        words = self._words
        used = {unit for unit, state in self._units() if state & STATE_MASK == USED}
        limit = self.high_water
        for at in words[self._buckets : self._buckets + self._bucket_mask + 1].tolist():
            steps = 0
            while at and steps <= limit:
                used.discard(at)
                at = words[at + NEXT]
                steps += 1
        return sorted(used)

    def _free_if_unlinked(self, at: int) -> bool:
        words = self._words
        hash = words[at + HASH]
        self.stripes.acquire(hash)
        try:
            if words[at] & STATE_MASK != USED or words[at + HASH] != hash or self._find_link(at):
                return False
            self._release(at)
            return True
        finally:
            self.stripes.release(hash)

    def _owned(self, slot: int, refs: Refs) -> list[int]:
        """The further blobs of a record."""
        hash = self.hash_of(slot)
        self.stripes.acquire(hash)
        try:
            at = self._slots + slot * SLOT_WORDS
            is_same = self._words[at] & STATE_MASK == USED and self._words[at + HASH] == hash
            return list(refs(self.payload(slot))) if is_same and self._words[at + REF] else []
        finally:
            self.stripes.release(hash)

    def _column(self, column: int, start: int, end: int) -> list[int]:
        """One word of each slot from `start` to before `end`."""
        first = self._slots + start * SLOT_WORDS + column
        return self._words[first : first + (end - start) * SLOT_WORDS : SLOT_WORDS].tolist()

    def _units(self) -> Iterator[tuple[int, int]]:
        """(word index, state) of each slot up to the high-water mark."""
        for start in range(1, self.high_water + 1, CHUNK):
            end = min(start + CHUNK, self.high_water + 1)
            first = self._slots + start * SLOT_WORDS
            last = self._slots + end * SLOT_WORDS
            yield from zip(range(first, last, SLOT_WORDS), self._column(STATE, start, end), strict=True)

    def _refill(self) -> None:
        """Put some slots into the private list.  ResourceError when there are none."""
        self._slot_lock.acquire()
        try:
            self._private.extend(self._free.take(self._batch, self._process) or self._carve())
        except BaseException:
            self._slot_lock.abandon()
            raise
        self._slot_lock.release()
        if not self._private:
            raise ResourceError(f"table {self.name} is full: {self.n_slots} slots")

    def _carve(self) -> list[int]:
        """Slots never used before, reserved; the lock of the slots is held."""
        words = self._words
        high = words[self._high]
        n_slots = min(self._batch, self.n_slots - high)
        first = self._slots + (high + 1) * SLOT_WORDS
        units = list(range(first, first + n_slots * SLOT_WORDS, SLOT_WORDS))
        for at in units:
            words[at] = self._reserved
            words[at + GENERATION] = 1
        words[self._high] = high + n_slots
        units.reverse()
        return units

    def _spill(self) -> None:
        """Give half of the private list back, the slots freed longest ago."""
        oldest = self._private[: len(self._private) // 2]
        del self._private[: len(oldest)]
        self._give(oldest)

    def _give(self, units: list[int]) -> None:
        self._slot_lock.acquire()
        try:
            self._free.give(units)
        except BaseException:
            self._slot_lock.abandon()
            raise
        self._slot_lock.release()

    def _rebuild(self, _: int) -> None:
        """Make the free list anew; its lock is held by a dead process."""
        self._free.rebuild(unit for unit, state in self._units() if state == FREE)
