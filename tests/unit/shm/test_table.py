"""Tables against a dict, and everything that a killed process can leave."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from openserd.errors import ResourceError
from openserd.shm.blobs import Blobs
from openserd.shm.freelist import STATE_MASK, USED, reserved_by
from openserd.shm.locks import Locks
from openserd.shm.segment import MEGABYTE, Segment
from openserd.shm.table import GENERATION, NEXT, REF, SLOT_WORDS, Table

from .conftest import N_PROCESSES

N_SLOTS = 100


@pytest.fixture
def blobs(segment: Segment, locks: Locks) -> Blobs:
    return Blobs(segment, locks, 2 * MEGABYTE, N_PROCESSES)


@pytest.fixture
def table(segment: Segment, locks: Locks, blobs: Blobs) -> Table:
    return Table("t", segment, locks, blobs, N_SLOTS, 8, 4, N_PROCESSES)


def enter(table: Table, locks: Locks, process: int) -> None:
    locks.enter(process)
    table._blobs.enter(process)
    table.enter(process)


def insert(table: Table, key: bytes, payload: bytes) -> int:
    hash = table.hash(key)
    table.stripes.acquire(hash)
    try:
        return table.insert(key, hash, payload)
    finally:
        table.stripes.release(hash)


def find(table: Table, key: bytes) -> int:
    return table.find(key, table.hash(key))


def word_of(table: Table, slot: int) -> int:
    return table._slots + slot * SLOT_WORDS


def test_what_is_inserted_is_found(table: Table) -> None:
    slot = insert(table, b"alice", b"payload")
    assert find(table, b"alice") == slot > 0
    assert table.key(slot) == b"alice"
    assert table.payload(slot) == b"payload"
    assert table.hash_of(slot) == table.hash(b"alice")
    assert list(table.slots()) == [slot] and table.used == 1


def test_what_is_not_there_is_slot_0(table: Table) -> None:
    insert(table, b"alice", b"")
    assert find(table, b"bob") == 0
    assert find(table, b"") == 0


def test_keys_of_one_chain_are_told_apart(table: Table) -> None:
    slots = {key: insert(table, key, key * 2) for key in (b"%d" % i for i in range(60))}
    assert all(find(table, key) == slot and table.payload(slot) == key * 2 for key, slot in slots.items())


def test_a_key_with_the_same_hash_is_another_key(table: Table) -> None:
    slot = table.insert(b"ab", 77, b"1")
    other = table.insert(b"a", 77, b"b1")
    assert table.find(b"ab", 77) == slot and table.find(b"a", 77) == other
    assert table.payload(slot) == b"1" and table.payload(other) == b"b1"
    assert table.find(b"abc", 77) == 0


def test_empty_key_and_empty_payload(table: Table) -> None:
    slot = insert(table, b"", b"")
    assert find(table, b"") == slot
    assert table.key(slot) == b"" == table.payload(slot)


def test_a_key_too_long_is_a_resource_error(table: Table) -> None:
    with pytest.raises(ResourceError):
        insert(table, bytes(65536), b"")
    assert table.used == 0


def test_replace_keeps_slot_key_and_generation(table: Table, blobs: Blobs) -> None:
    slot = insert(table, b"alice", b"old")
    generation = table.generation(slot)
    table.replace(slot, b"new" * 500)
    assert table.payload(slot) == b"new" * 500 and table.key(slot) == b"alice"
    assert table.is_live(slot, generation) and find(table, b"alice") == slot
    assert len(list(blobs.used_refs())) == 1


def test_replace_without_memory_keeps_the_old_payload(table: Table, blobs: Blobs) -> None:
    slot = insert(table, b"alice", b"old")
    with pytest.raises(ResourceError):
        table.replace(slot, bytes(200_000))
    assert table.payload(slot) == b"old"


def test_removed_is_gone_from_any_place_in_the_chain(table: Table, blobs: Blobs) -> None:
    keys = [b"%d" % i for i in range(50)]
    for key in keys:
        insert(table, key, key)
    for key in keys[::3] + keys[1::3] + keys[2::3]:
        table.remove(find(table, key))
        assert find(table, key) == 0
    assert table.used == 0 and list(blobs.used_refs()) == []


def test_removing_twice_is_an_assertion(table: Table) -> None:
    slot = insert(table, b"alice", b"")
    table.remove(slot)
    with pytest.raises(AssertionError):
        table.remove(slot)


def test_a_slot_used_again_has_another_generation(table: Table) -> None:
    slot = insert(table, b"alice", b"")
    generation = table.generation(slot)
    assert generation > 0 and table.is_live(slot, generation)
    table.remove(slot)
    assert not table.is_live(slot, generation)
    assert insert(table, b"bob", b"") == slot
    assert not table.is_live(slot, generation)
    assert table.is_live(slot, table.generation(slot))


def test_a_payload_is_read_by_slot_and_generation_or_not_at_all(table: Table) -> None:
    slot = insert(table, b"alice", b"payload")
    generation = table.generation(slot)
    assert table.payload_of(slot, generation) == b"payload"
    assert table.payload_of(slot, generation + 1) is None
    for other in (-1, 0, slot + 1, table.n_slots, table.n_slots + 1, 1 << 40):
        assert table.payload_of(other, generation) is None
    table.remove(slot)
    assert table.payload_of(slot, generation) is None


def test_generation_is_never_0(table: Table) -> None:
    slot = insert(table, b"alice", b"")
    table._words[word_of(table, slot) + GENERATION] = 0xFFFFFFFF
    table.remove(slot)
    assert table.generation(slot) == 1


@pytest.mark.parametrize("slot", [-1, 0, N_SLOTS, N_SLOTS + 1, 1 << 31, 1 << 40])
@pytest.mark.parametrize("generation", [-1, 0, 1, 1 << 40])
def test_any_number_may_be_asked_for(table: Table, slot: int, generation: int) -> None:
    assert not table.is_live(slot, generation)
    assert table.hash_of(slot) == 0


def test_a_full_table_is_a_resource_error_and_leaks_nothing(table: Table, blobs: Blobs) -> None:
    for i in range(N_SLOTS):
        insert(table, b"%d" % i, b"")
    with pytest.raises(ResourceError, match="table t is full"):
        insert(table, b"more", b"")
    assert table.used == N_SLOTS == len(list(blobs.used_refs())) == table.high_water
    table.remove(find(table, b"7"))
    assert insert(table, b"more", b"") > 0


def test_exhausted_memory_leaves_the_table_as_it_was(table: Table) -> None:
    with pytest.raises(ResourceError):
        insert(table, b"alice", bytes(200_000))
    assert table.used == 0 and find(table, b"alice") == 0


def test_freed_slots_are_used_first_so_that_live_ones_stay_dense(table: Table) -> None:
    for round in range(20):
        slots = [insert(table, b"%d.%d" % (round, i), b"") for i in range(10)]
        for slot in slots:
            table.remove(slot)
    assert table.high_water <= 2 * 16


def test_a_slot_may_be_reserved_before_there_is_a_record(table: Table, locks: Locks) -> None:
    slot = table.reserve()
    generation = table.generation(slot)
    assert generation and not table.is_live(slot, generation)
    assert insert(table, b"bob", b"") != slot
    hash = table.hash(b"alice")
    assert table.insert(b"alice", hash, b"payload", slot) == slot == find(table, b"alice")
    assert table.is_live(slot, generation)
    other = table.reserve()
    table.give_back(other)
    assert table.reserve() == other
    enter(table, locks, 1)
    assert table.reclaim(0) >= 1
    assert table.used == 2


def test_reclaim_frees_the_reserve_of_the_dead(table: Table, locks: Locks) -> None:
    enter(table, locks, 1)
    insert(table, b"alice", b"")
    n_reserved = len(table._private)
    enter(table, locks, 0)
    assert table.reclaim(1) == n_reserved
    assert table.reclaim(1) == 0
    assert len(table._free) == n_reserved
    assert find(table, b"alice")


def test_sweep_frees_a_slot_that_was_never_linked(table: Table, blobs: Blobs) -> None:
    kept = insert(table, b"kept", b"")
    slot = insert(table, b"alice", b"")
    bucket = table._buckets + (table.hash(b"alice") & table._bucket_mask)
    table._words[bucket] = table._words[word_of(table, slot) + NEXT]
    generation = table.generation(slot)
    assert table.sweep() == 1
    assert table.sweep() == 0
    assert list(table.slots()) == [kept]
    assert not table.is_live(slot, generation)
    assert list(blobs.used_refs()) == list(table.refs())


def test_sweep_frees_a_slot_whose_blob_was_withdrawn_already(table: Table, blobs: Blobs) -> None:
    slot = insert(table, b"alice", b"")
    at = word_of(table, slot)
    table._words[table._buckets + (table.hash(b"alice") & table._bucket_mask)] = 0
    ref = table._words[at + REF]
    table._words[at + REF] = 0
    blobs.free(ref)
    assert table.sweep() == 1
    assert list(blobs.used_refs()) == []


def test_sweep_spares_what_is_linked(table: Table) -> None:
    for i in range(80):
        insert(table, b"%d" % i, b"")
    assert table.sweep() == 0
    assert table.used == 80


def test_a_slot_list_half_changed_is_rebuilt(table: Table, locks: Locks) -> None:
    slots = [insert(table, b"%d" % i, b"") for i in range(60)]
    for slot in slots[:40]:
        table.remove(slot)
    enter(table, locks, 1)
    table._slot_lock.acquire()
    head = table._words[table._free._head]
    assert head
    table._words[head] = reserved_by(1)  # killed in `take` after its first store
    enter(table, locks, 0)
    assert locks.free_dead(1) == [("t slots", 0)]
    assert table.reclaim(1) == 1
    states = [state for _, state in table._units()]
    assert states.count(0) == len(table._free)
    assert sum(1 for state in states if state & STATE_MASK == USED) == 20


def test_refs_are_the_records_blobs_and_what_those_own(segment: Segment, locks: Locks, blobs: Blobs) -> None:
    table = Table("t", segment, locks, blobs, N_SLOTS, 8, refs=lambda payload: [int.from_bytes(payload, "little")])
    owned = blobs.put(b"reply")
    slot = insert(table, b"alice", owned.to_bytes(4, "little"))
    assert set(table.refs()) == {owned, table._words[word_of(table, slot) + REF]} == set(blobs.used_refs())


def test_bad_sizes_are_assertions(segment: Segment, locks: Locks, blobs: Blobs) -> None:
    for n_slots, n_buckets, n_stripes in ((0, 8, 4), (10, 7, 4), (10, 8, 3)):
        with pytest.raises(AssertionError):
            Table("t", segment, locks, blobs, n_slots, n_buckets, n_stripes)


def test_there_are_never_more_stripes_than_buckets(segment: Segment, locks: Locks, blobs: Blobs) -> None:
    assert len(Table("t", segment, locks, blobs, 10, 2, 64).stripes) == 2


KEYS = st.sampled_from([b"", b"a", b"b", b"ab", b"alice@example.com", b"k" * 300, b"\0", b"\0\0"])
PAYLOADS = st.sampled_from([b"", b"x", b"y" * 60, b"z" * 900, b"w" * 5000])


class TableMachine(RuleBasedStateMachine):
    """Three processes change a table, die and are swept; a dict knows what there must be."""

    def __init__(self) -> None:
        super().__init__()
        self.segment = Segment(2 * MEGABYTE)
        self.locks = Locks(self.segment, N_PROCESSES)
        self.blobs = Blobs(self.segment, self.locks, MEGABYTE, N_PROCESSES)
        self.table = Table("t", self.segment, self.locks, self.blobs, 64, 2, 2, N_PROCESSES)
        self.model: dict[bytes, bytes] = {}
        self.addresses: dict[bytes, tuple[int, int]] = {}
        self.gone: list[tuple[int, int]] = []

    @rule(process=st.integers(1, 3))
    def change_process(self, process: int) -> None:
        enter(self.table, self.locks, process)

    @rule(key=KEYS, payload=PAYLOADS)
    def store(self, key: bytes, payload: bytes) -> None:
        hash = self.table.hash(key)
        self.table.stripes.acquire(hash)
        slot = self.table.find(key, hash)
        assert bool(slot) == (key in self.model)
        if slot:
            self.table.replace(slot, payload)
        else:
            slot = self.table.insert(key, hash, payload)
            self.addresses[key] = slot, self.table.generation(slot)
        self.table.stripes.release(hash)
        self.model[key] = payload

    @rule(key=KEYS)
    def remove(self, key: bytes) -> None:
        slot = find(self.table, key)
        assert bool(slot) == (key in self.model)
        if slot:
            self.table.remove(slot)
            del self.model[key]
            self.gone.append(self.addresses.pop(key))

    @rule(process=st.integers(1, 3))
    def die(self, process: int) -> None:
        if process == self.table._process:
            enter(self.table, self.locks, 0)
        self.table.reclaim(process)
        self.blobs.reclaim(process)

    @rule()
    def sweep_twice(self) -> None:
        for _ in range(2):
            assert self.table.sweep() == 0
            assert self.blobs.sweep(set(self.table.refs())) == 0

    @invariant()
    def the_table_is_the_dict(self) -> None:
        found = {self.table.key(slot): self.table.payload(slot) for slot in self.table.slots()}
        assert found == self.model
        assert self.table.used == len(self.model) == len(list(self.blobs.used_refs()))

    @invariant()
    def addresses_are_live_as_long_as_their_record(self) -> None:
        assert all(self.table.is_live(*address) for address in self.addresses.values())
        assert not any(self.table.is_live(*address) for address in self.gone)

    def teardown(self) -> None:
        self.locks.close()
        self.segment.close()


TestTableMachine = TableMachine.TestCase
TestTableMachine.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
