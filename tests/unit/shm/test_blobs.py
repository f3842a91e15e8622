"""Blobs against a dict, and everything that a killed process can leave."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from openserd.errors import ResourceError
from openserd.shm.blobs import (
    BATCH,
    CAPACITY,
    CLASS_BYTES,
    HEADER_BYTES,
    LIMIT,
    MAX_PAYLOAD,
    SLAB_BYTES,
    Blobs,
)
from openserd.shm.freelist import reserved_by
from openserd.shm.locks import HOLDS, Locks
from openserd.shm.segment import MEGABYTE, Segment

from .conftest import N_PROCESSES

HEAP = 4 * MEGABYTE


@pytest.fixture
def blobs(segment: Segment, locks: Locks) -> Blobs:
    return Blobs(segment, locks, HEAP, N_PROCESSES)


def enter(blobs: Blobs, locks: Locks, process: int) -> None:
    locks.enter(process)
    blobs.enter(process)


def private_bytes(blobs: Blobs) -> int:
    return sum(len(units) * size for units, size in zip(blobs._private, CLASS_BYTES, strict=True))


@pytest.mark.parametrize("n_bytes", [0, 1, 55, 56, 57, 88, 89, 900, 4088, 4089, 65528, MAX_PAYLOAD])
def test_what_is_put_is_got(blobs: Blobs, n_bytes: int) -> None:
    data = random.Random(n_bytes).randbytes(n_bytes)
    ref = blobs.put(data)
    assert 0 < ref < 1 << 32
    assert blobs.get(ref) == data
    assert blobs.size(ref) == n_bytes
    assert list(blobs.used_refs()) == [ref]
    blobs.free(ref)
    assert list(blobs.used_refs()) == []


def test_every_class_holds_its_largest_value(blobs: Blobs) -> None:
    refs = {blobs.put(b"x" * (size - HEADER_BYTES)): size for size in CLASS_BYTES}
    assert blobs.used_bytes - private_bytes(blobs) == sum(CLASS_BYTES)
    assert all(blobs.get(ref) == b"x" * (size - HEADER_BYTES) for ref, size in refs.items())


def test_a_value_longer_than_a_slab_is_a_resource_error(blobs: Blobs) -> None:
    with pytest.raises(ResourceError):
        blobs.put(bytes(MAX_PAYLOAD + 1))


def test_freeing_twice_is_an_assertion(blobs: Blobs) -> None:
    ref = blobs.put(b"once")
    blobs.free(ref)
    with pytest.raises(AssertionError, match="twice"):
        blobs.free(ref)
    with pytest.raises(AssertionError):
        blobs.get(ref)
    with pytest.raises(AssertionError):
        blobs.size(ref)
    assert not blobs.is_used(ref)


def test_exhaustion_is_a_resource_error_and_what_is_stored_lives_on(blobs: Blobs) -> None:
    refs = []
    with pytest.raises(ResourceError, match="raise -m"):
        while True:
            refs.append(blobs.put(len(refs).to_bytes(4, "little") * 250))
    assert len(refs) >= HEAP // 1024
    assert all(blobs.get(ref) == i.to_bytes(4, "little") * 250 for i, ref in enumerate(refs))
    for ref in refs:
        blobs.free(ref)
    assert blobs.used_bytes == private_bytes(blobs)
    assert blobs.get(blobs.put(b"again")) == b"again"


def test_a_larger_class_helps_out_when_the_right_one_is_exhausted(blobs: Blobs) -> None:
    spare = blobs.put(b"s" * 1500)
    with pytest.raises(ResourceError):
        while True:
            blobs.put(bytes(1000))
    blobs.free(spare)
    with pytest.raises(ResourceError):
        while True:
            blobs.put(bytes(1400))
    assert not any(blobs._private[9])


def test_sizes_that_change_do_not_lose_memory_to_one_class(blobs: Blobs) -> None:
    for size in (40, 900, 3000, 24, 60000, 500):
        refs = []
        with pytest.raises(ResourceError):
            while True:
                refs.append(blobs.put(bytes(size)))
        assert blobs.used_bytes > 0.9 * HEAP  # what is missing lies in private lists
        for ref in refs:
            blobs.free(ref)


def test_a_sweep_gives_all_free_slabs_back(blobs: Blobs) -> None:
    for ref in [blobs.put(bytes(size)) for size in (40, 900, 3000, 60000, 500) for _ in range(20)]:
        blobs.free(ref)
    blobs.enter(1)
    blobs.reclaim(0)
    assert blobs.slab_bytes > 0 == blobs.used_bytes
    assert blobs.sweep(set()) == 0
    assert blobs.slab_bytes == 0 == blobs.fragments
    assert blobs.free_bytes == HEAP


def test_private_lists_stay_short(blobs: Blobs) -> None:
    refs = [blobs.put(bytes(900)) for _ in range(500)]
    for ref in refs:
        blobs.free(ref)
    number = CLASS_BYTES.index(1024)
    assert len(blobs._private[number]) <= LIMIT[number]
    assert blobs.fragments == 512 - len(blobs._private[number])
    assert blobs.peak == 512 * 1024


def test_another_process_may_free(blobs: Blobs, locks: Locks) -> None:
    enter(blobs, locks, 1)
    ref = blobs.put(b"from 1")
    enter(blobs, locks, 2)
    assert blobs.get(ref) == b"from 1"
    blobs.free(ref)
    assert blobs.put(b"from 2") == ref


def test_entering_forgets_the_lists_of_who_forked(blobs: Blobs, locks: Locks) -> None:
    blobs.free(blobs.put(b"master's"))
    enter(blobs, locks, 1)
    assert not any(blobs._private)
    mine = {blobs.put(b"x") for _ in range(40)}
    enter(blobs, locks, 2)
    assert not mine & {blobs.put(b"y") for _ in range(40)}


def test_reclaim_frees_what_the_dead_had_in_reserve(blobs: Blobs, locks: Locks) -> None:
    enter(blobs, locks, 1)
    kept = blobs.put(b"x" * 100)
    blobs.put(b"y" * 900)
    n_reserved = sum(map(len, blobs._private))
    enter(blobs, locks, 0)
    assert blobs.reclaim(1) == n_reserved
    assert blobs.reclaim(1) == 0
    assert blobs.used_bytes == 128 + 1024
    assert blobs.get(kept) == b"x" * 100


def test_reclaim_leaves_other_reserves_alone(blobs: Blobs, locks: Locks) -> None:
    blobs.put(b"mine")
    before = blobs.used_bytes
    assert blobs.reclaim(3) == 0
    assert blobs.used_bytes == before


@pytest.mark.parametrize("n_stores", range(1, 40))
def test_a_list_half_changed_is_rebuilt_for_the_dead_holder(segment: Segment, locks: Locks, n_stores: int) -> None:
    """Process 1 dies after its n-th store to shared memory while it refills or spills a list."""
    blobs = Blobs(segment, locks, HEAP, N_PROCESSES)
    refs = [blobs.put(bytes(900)) for _ in range(48)]
    for ref in refs[8:]:
        blobs.free(ref)
    enter(blobs, locks, 1)
    dying = Dying(blobs._words, n_stores)
    blobs._words = dying  # type: ignore[assignment]
    blobs._free[CLASS_BYTES.index(1024)]._words = dying  # type: ignore[assignment]
    try:
        for ref in refs[:8]:
            blobs.free(ref)
        for _ in range(30):
            blobs.put(bytes(900))
    except Killed:
        pass
    blobs._words = dying.words
    blobs._free[CLASS_BYTES.index(1024)]._words = dying.words
    enter(blobs, locks, 0)
    assert locks.free_dead(1) in ([], [("blobs", CLASS_BYTES.index(1024))])
    blobs.reclaim(1)
    check_lists(blobs)


@pytest.mark.parametrize("n_stores", range(1, 40))
def test_an_exception_half_way_leaves_the_list_whole(segment: Segment, locks: Locks, n_stores: int) -> None:
    """As raised by a signal's handler: the process goes on, the lock is free, no block is in two places."""
    blobs = Blobs(segment, locks, HEAP, N_PROCESSES)
    kept = [blobs.put(bytes(900)) for _ in range(48)]
    dying = Dying(blobs._words, n_stores, is_final=False)
    blobs._words = dying  # type: ignore[assignment]
    blobs._free[CLASS_BYTES.index(1024)]._words = dying  # type: ignore[assignment]
    try:
        while kept:
            blobs.free(kept.pop())
    except Killed:
        pass
    blobs._words = dying.words
    blobs._free[CLASS_BYTES.index(1024)]._words = dying.words
    assert locks.held(0) == []
    check_lists(blobs)
    refs = [blobs.put(bytes(900)) for _ in range(200)]
    assert len(set(refs) | set(kept)) == 200 + len(kept)
    assert all(blobs.is_used(ref) for ref in refs + kept)
    check_lists(blobs)


class Killed(Exception):
    """The process is dead."""


class Dying:
    """Words of which only so many stores succeed: the next fails, and all after it when the failure is final."""

    def __init__(self, words: memoryview, n_stores: int, is_final: bool = True) -> None:
        self.words = words
        self.n_left = n_stores
        self.is_final = is_final

    def __getitem__(self, at: int) -> int:
        return self.words[at]

    def __setitem__(self, at: int, word: int) -> None:
        if self.n_left == 0:
            self.n_left = 0 if self.is_final else -1
            raise Killed
        self.n_left -= 1
        self.words[at] = word


def check_lists(blobs: Blobs) -> None:
    """Every block that was ever cut is in exactly one place."""
    for number, size in enumerate(CLASS_BYTES):
        listed = []
        unit = blobs._words[blobs._free[number]._head]
        while unit:
            listed.append(unit)
            assert len(listed) <= HEAP // 64
            unit = blobs._words[unit + 1]
        states = {}
        for slab in blobs._slabs(number):
            for i in range(blobs._words[blobs._map + slab] & 0xFFFF):
                unit = slab * SLAB_BYTES // 4 + i * size // 4
                states[unit] = blobs._words[unit]
        assert len(listed) == len(set(listed)) == len(blobs._free[number])
        assert set(listed) == {unit for unit, state in states.items() if not state}
        assert blobs._taken[number] == size * sum(1 for state in states.values() if state)


def test_a_holder_killed_in_a_class_has_its_list_rebuilt_by_free_dead(blobs: Blobs, locks: Locks) -> None:
    number = CLASS_BYTES.index(1024)
    enter(blobs, locks, 1)
    for ref in [blobs.put(bytes(900)) for _ in range(60)]:
        blobs.free(ref)
    blobs._locks.acquire(number)
    assert blobs._words[blobs._free[number]._head]
    blobs._words[blobs._words[blobs._free[number]._head]] = reserved_by(1)
    enter(blobs, locks, 0)
    assert locks.held(1) == [("blobs", number, HOLDS)]
    assert locks.free_dead(1) == [("blobs", number)]
    blobs.reclaim(1)
    check_lists(blobs)


def test_a_slab_taken_but_not_used_by_the_dead_is_used_by_the_next(blobs: Blobs, locks: Locks) -> None:
    number = CLASS_BYTES.index(1024)
    slab = blobs._new_slab(number)
    blobs.rebuild(number)
    blobs.put(bytes(900))
    assert blobs._slabs(number) == [slab]


def test_sweep_frees_what_nothing_refers_to_the_second_time(blobs: Blobs) -> None:
    kept, lost = blobs.put(b"kept"), blobs.put(b"lost")
    assert blobs.sweep({kept}) == 0
    assert blobs.sweep({kept}) == 1
    assert list(blobs.used_refs()) == [kept]
    assert not blobs.is_used(lost)
    assert blobs.sweep({kept}) == 0
    check_lists(blobs)


def test_a_block_used_anew_between_sweeps_is_no_suspect(blobs: Blobs) -> None:
    ref = blobs.put(b"first")
    blobs.sweep(set())
    blobs.free(ref)
    assert blobs.put(b"second") == ref
    assert blobs.sweep(set()) == 0
    assert blobs.get(ref) == b"second"
    assert blobs.sweep(set()) == 1


def test_a_blob_linked_between_sweeps_is_spared(blobs: Blobs) -> None:
    ref = blobs.put(b"in somebody's hands")
    blobs.sweep(set())
    assert blobs.sweep({ref}) == 0
    assert blobs.sweep(set()) == 0
    assert blobs.is_used(ref)


def test_slabs_with_a_block_in_use_or_in_reserve_stay(blobs: Blobs) -> None:
    refs = [blobs.put(bytes(4000)) for _ in range(CAPACITY[12] * 2)]
    for ref in refs[1:]:
        blobs.free(ref)
    blobs.sweep({refs[0]})
    assert SLAB_BYTES <= blobs.slab_bytes <= 2 * SLAB_BYTES
    check_lists(blobs)
    assert blobs.get(refs[0]) == bytes(4000)


def test_the_open_heap_grows_down_to_what_is_reserved(segment: Segment, locks: Locks) -> None:
    blobs = Blobs(segment, locks, 0, N_PROCESSES)
    first = blobs.put(b"before the reservation")
    at = segment.reserve(3 * MEGABYTE)
    assert segment.ceiling == segment.size - SLAB_BYTES
    blobs.seal()
    with pytest.raises(ResourceError):
        while True:
            blobs.put(bytes(100_000))
    assert blobs._words[blobs._lowest] * SLAB_BYTES >= at + 3 * MEGABYTE
    assert not any(segment.buf[at : at + 3 * MEGABYTE])
    assert blobs.get(first) == b"before the reservation"


def test_the_open_heap_and_reservations_do_not_overlap(segment: Segment, locks: Locks) -> None:
    blobs = Blobs(segment, locks, 0, N_PROCESSES)
    for _ in range(40):
        blobs.put(bytes(100_000))
    with pytest.raises(ResourceError):
        segment.reserve(4 * MEGABYTE)


def test_batches_and_limits_are_sensible() -> None:
    assert all(1 <= batch <= limit for batch, limit in zip(BATCH, LIMIT, strict=True))
    assert list(CLASS_BYTES) == sorted(CLASS_BYTES)
    assert all(size % 16 == 0 for size in CLASS_BYTES)


class BlobMachine(RuleBasedStateMachine):
    """Three processes put and free, die and are swept; a dict knows what there must be."""

    refs = Bundle("refs")

    def __init__(self) -> None:
        super().__init__()
        self.segment = Segment(2 * MEGABYTE)
        self.locks = Locks(self.segment, N_PROCESSES)
        self.blobs = Blobs(self.segment, self.locks, MEGABYTE, N_PROCESSES)
        self.model: dict[int, bytes] = {}

    @rule(process=st.integers(1, 3))
    def change_process(self, process: int) -> None:
        # one object plays all: a process that is left keeps its reserve until it is reclaimed
        enter(self.blobs, self.locks, process)

    @rule(target=refs, n_bytes=st.sampled_from([0, 10, 56, 57, 300, 900, 5000, 40000]), seed=st.integers(0, 255))
    def put(self, n_bytes: int, seed: int) -> int:
        data = bytes([seed]) * n_bytes
        try:
            ref = self.blobs.put(data)
        except ResourceError:
            return 0
        assert ref not in self.model
        self.model[ref] = data
        return ref

    @rule(ref=consumes(refs))
    def free(self, ref: int) -> None:
        if ref in self.model:
            del self.model[ref]
            self.blobs.free(ref)

    @rule(process=st.integers(1, 3))
    def die(self, process: int) -> None:
        if process == self.blobs._process:
            enter(self.blobs, self.locks, 0)
        self.blobs.reclaim(process)

    @rule()
    def lose(self) -> None:
        ref = self.blobs.put(b"lost")
        assert ref not in self.model

    @rule()
    def sweep_twice(self) -> None:
        self.blobs.sweep(self.model.keys())
        self.blobs.sweep(self.model.keys())
        assert set(self.blobs.used_refs()) == self.model.keys()

    @invariant()
    def everything_stored_is_there(self) -> None:
        assert all(self.blobs.get(ref) == data for ref, data in self.model.items())

    @invariant()
    def lists_are_sound(self) -> None:
        check_lists(self.blobs)

    def teardown(self) -> None:
        self.locks.close()
        self.segment.close()


TestBlobMachine = BlobMachine.TestCase
TestBlobMachine.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
