"""The pieces together."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from openserd.errors import ResourceError
from openserd.shm import Bytes, Record, Ref, SharedMemory, Swept, Table
from openserd.shm.memory import N_SWEEPS, QUIET_ROUNDS
from openserd.shm.segment import MEGABYTE
from tests.support.server import left_in_shm, shared_names

from .conftest import touched_bytes


@dataclass(slots=True)
class Owner(Record):
    """A record that owns a blob."""

    reply: Ref
    name: Bytes


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    made = SharedMemory(8, 4)
    yield made
    made.close()


def store(table: Table, key: bytes, payload: bytes) -> int:
    hash = table.hash(key)
    table.stripes.acquire(hash)
    slot = table.insert(key, hash, payload)
    table.stripes.release(hash)
    return slot


def test_a_server_in_small(memory: SharedMemory) -> None:
    table = memory.table("usrloc", 1000, 64)
    deadlines = memory.deadlines(1000)
    snapshot = memory.snapshot("domains", str.encode, bytes.decode)
    counter = memory.counters.add("registered")
    snapshot.publish("example.com")
    memory.seal()
    memory.enter(2)
    slot = store(table, b"alice", b"sip:alice@192.0.2.1")
    deadlines.arm(slot, 100)
    memory.counters.bump(counter)
    memory.enter(3)
    assert table.payload(deadlines.due(100, table.high_water)[0]) == b"sip:alice@192.0.2.1"
    assert memory.counters.value(counter) == 1
    assert snapshot.get() == "example.com"


def test_nothing_can_be_made_after_sealing(memory: SharedMemory) -> None:
    memory.seal()
    memory.seal()
    with pytest.raises(AssertionError):
        memory.table("late", 10, 8)


def test_recover_undoes_what_a_dead_process_has_left(memory: SharedMemory) -> None:
    table = memory.table("t", 100, 8)
    lock = memory.lock("busy")
    memory.seal()
    memory.enter(1)
    store(table, b"alice", b"x" * 400)
    lost = memory.blobs.put(b"never linked")
    lock.acquire()
    memory.enter(0)
    assert memory.recover(1) == [("busy", 0)]
    assert lock.try_acquire()
    assert memory.sweep() == Swept(0, 0)
    assert memory.sweep() == Swept(0, 1)
    assert not memory.blobs.is_used(lost)
    assert memory.blobs.used_bytes == 512
    assert table.used == 1


def test_what_a_dead_process_has_left_is_gone_after_two_rounds_of_tidying(memory: SharedMemory) -> None:
    memory.seal()
    assert memory.tidy() == Swept(0, 0)
    memory.enter(1)
    lost = memory.blobs.put(b"never linked")
    memory.enter(0)
    memory.recover(1)
    assert memory.tidy() == Swept(0, 0)
    assert memory.blobs.is_used(lost)
    assert memory.tidy() == Swept(0, 1)
    assert not memory.blobs.is_used(lost)


def test_without_a_death_what_is_lost_is_looked_for_now_and_then(memory: SharedMemory) -> None:
    memory.seal()
    lost = memory.blobs.put(b"never linked")
    rounds = 0
    while memory.blobs.is_used(lost):
        memory.tidy()
        rounds += 1
    assert rounds == QUIET_ROUNDS + N_SWEEPS


def test_tidying_gives_unused_memory_back_without_a_sweep(memory: SharedMemory) -> None:
    memory.seal()
    refs = [memory.blobs.put(b"x" * 60_000) for _ in range(20)]
    full = memory.blobs.slab_bytes
    for ref in refs:
        memory.blobs.free(ref)
    memory.tidy()
    assert memory.blobs.slab_bytes < full


def test_sweep_spares_what_records_snapshots_and_roots_refer_to(memory: SharedMemory) -> None:
    table = memory.table("t", 100, 8, refs=Owner.refs)
    snapshot = memory.snapshot("s", bytes, bytes)
    rooted = memory.blobs.put(b"rooted")
    memory.add_roots(lambda: [rooted])
    memory.seal()
    snapshot.publish(b"x" * 300_000)
    reply = memory.blobs.put(b"200 OK")
    store(table, b"alice", Owner(reply, b"alice").pack())
    for _ in range(3):
        assert memory.sweep() == Swept(0, 0)
    assert memory.blobs.get(reply) == b"200 OK"
    assert len(snapshot.get()) == 300_000


def test_statistics_are_those_of_openser(memory: SharedMemory) -> None:
    memory.table("t", 1000, 64)
    memory.seal()
    before = memory.statistics()
    assert list(before) == [
        "total_size", "used_size", "real_used_size", "max_used_size", "free_size", "fragments",
    ]  # fmt: skip
    assert before["total_size"] == 8 * MEGABYTE
    ref = memory.blobs.put(bytes(50_000))
    after = memory.statistics()
    assert after["used_size"] - before["used_size"] == 65536 == before["free_size"] - after["free_size"]
    assert after["real_used_size"] - before["real_used_size"] == 131072
    memory.blobs.free(ref)
    assert memory.statistics()["max_used_size"] == after["used_size"]


def test_a_table_that_does_not_fit_is_a_resource_error(memory: SharedMemory) -> None:
    with pytest.raises(ResourceError, match="raise -m"):
        memory.table("huge", 10_000_000, 64)
    memory.table("small", 100, 64)


def test_words_are_zero_and_apart(memory: SharedMemory) -> None:
    first, second = memory.words(4), memory.words(4)
    first[3] = 7
    assert list(second) == [0, 0, 0, 0] and list(first) == [0, 0, 0, 7]


def test_half_a_gigabyte_costs_nothing_at_start_up() -> None:
    before = touched_bytes()
    began = time.process_time()
    memory = SharedMemory(512, 32)
    memory.table("location", 1_000_000, 1 << 16)
    memory.seal()
    assert time.process_time() - began < 1.0
    assert touched_bytes() - before < MEGABYTE
    memory.close()


def test_nothing_of_it_is_seen_in_dev_shm() -> None:
    before = shared_names()
    memory = SharedMemory(8, 4)
    assert not left_in_shm(before)
    memory.close()
