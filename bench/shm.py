"""Microseconds per operation on shared memory, one process: `python bench/shm.py [repeats]`.

The figure is CPU time, the least of several repeats, the loop's own cost subtracted; name the interpreter with it.
"""

import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from openserd.shm import U8, U16, U32, U64, Bytes, Record, Ref, SharedMemory

N = 20_000
MANY = 100_000


@dataclass(slots=True)
class Sample(Record):
    """Ten fields, three of them of any length."""

    expires: U32
    flags: U32
    state: U8
    branches: U16
    created: U64
    code: U16
    reply: Ref
    call_id: Bytes
    contact: Bytes
    path: Bytes


def measure(name: str, once: Callable[[int], object], n: int = N, repeats: int = 7) -> None:
    """Print the least CPU time that `once(i)`, i from 0 to n - 1, takes in us."""
    best = 1e9
    for _ in range(repeats):
        began = time.process_time()
        for _i in range(n):
            pass
        empty = time.process_time() - began
        began = time.process_time()
        for i in range(n):
            once(i)
        best = min(best, time.process_time() - began - empty)
    print(f"{name:<52} {best / n * 1e6:9.2f}")


def bench_locks(memory: SharedMemory) -> None:
    """A pair of one lock among 64."""
    stripes = memory.lock_set("bench", 64)
    acquire, release = stripes.acquire, stripes.release

    def pair(i: int) -> None:
        acquire(i & 63)
        release(i & 63)

    measure("lock: acquire + release", pair)


def bench_blobs(memory: SharedMemory) -> None:
    """A cycle of one blob, and one that holds many."""
    blobs = memory.blobs
    data = b"x" * 900

    def cycle(_: int) -> None:
        ref = blobs.put(data)
        blobs.get(ref)
        blobs.free(ref)

    measure("blob of 900 bytes: put + get + free", cycle)
    ref = blobs.put(data)
    measure("blob of 900 bytes: get", lambda _: blobs.get(ref))
    refs: list[int] = []
    measure("blob of 900 bytes: put, refills included", lambda _: refs.append(blobs.put(data)), repeats=1)
    measure("blob of 900 bytes: free, spills included", lambda i: blobs.free(refs[i]), repeats=1)


def bench_table(memory: SharedMemory, n_records: int) -> None:
    """Every operation, with the stripe's lock, on a table of `n_records`."""
    table = memory.table(f"bench{n_records}", n_records + N, 1 << (n_records + N).bit_length())
    keys = [b"z9hG4bK-%032d@host.example.com" % i for i in range(n_records + N)]
    payload = b"p" * 300

    def insert(i: int) -> None:
        key = keys[i]
        hash = table.hash(key)
        table.stripes.acquire(hash)
        table.insert(key, hash, payload)
        table.stripes.release(hash)

    def get(i: int) -> bytes:
        key = keys[i * 7919 % n_records]
        hash = table.hash(key)
        table.stripes.acquire(hash)
        found = table.payload(table.find(key, hash))
        table.stripes.release(hash)
        return found

    def by_slot(i: int) -> bytes:
        slot = i * 7919 % n_records + 1
        hash = table.hash_of(slot)
        table.stripes.acquire(hash)
        assert table.is_live(slot, 1)
        found = table.payload(slot)
        table.stripes.release(hash)
        return found

    def replace(i: int) -> None:
        slot = i * 7919 % n_records + 1
        hash = table.hash_of(slot)
        table.stripes.acquire(hash)
        table.replace(slot, payload)
        table.stripes.release(hash)

    def remove(i: int) -> None:
        key = keys[n_records + i]
        hash = table.hash(key)
        table.stripes.acquire(hash)
        table.remove(table.find(key, hash))
        table.stripes.release(hash)

    def miss(i: int) -> None:
        key = keys[n_records + i]
        hash = table.hash(key)
        table.stripes.acquire(hash)
        table.find(key, hash)
        table.stripes.release(hash)

    print(f"table of {n_records}, payloads of 300 bytes, lock included:")
    measure("  insert (empty table)", insert, n_records, repeats=1)
    measure("  find + payload", get)
    measure("  find, no such key", miss)
    measure("  payload by slot and generation", by_slot)
    measure("  replace", replace)
    measure("  insert", lambda i: insert(n_records + i), repeats=1)
    measure("  find + remove", remove, repeats=1)
    measure("  used (scan of all slots)", lambda _: table.used, 3)


def bench_record() -> None:
    """Packing and unpacking ten fields."""
    record = Sample(1, 2, 3, 4, 5, 200, 7, b"c" * 40, b"sip:alice@example.com", b"")
    packed = record.pack()
    unpack = Sample.unpack
    measure("record of 10 fields: pack", lambda _: record.pack())
    measure("record of 10 fields: unpack", lambda _: unpack(packed))
    measure("record of 10 fields: refs", lambda _: Sample.refs(packed))


def bench_deadlines(memory: SharedMemory) -> None:
    """Arming, and a scan of 4096 armed slots of which 20 are due."""
    deadlines = memory.deadlines(4096)
    measure("deadline: arm", lambda i: deadlines.arm(i & 4095, 1000 + i))
    for slot in range(1, 4097):
        deadlines.arm(slot, 100 if slot % 204 == 0 else 5_000_000)
    measure("deadlines: scan of 4096, 20 due", lambda _: deadlines.due(1000, 4096), 50)
    for slot in range(1, 4097):
        deadlines.disarm(slot)
    measure("deadlines: scan of 4096, none armed", lambda _: deadlines.due(1000, 4096), 50)


def main() -> None:
    """Print all figures."""
    print(f"us per operation, {platform.python_implementation()} {platform.python_version()} ({sys.executable})")
    began = time.process_time()
    memory = SharedMemory(512, 16)
    print(f"{'512 MB of shared memory made, ms instead of us':<52} {(time.process_time() - began) * 1e3:9.2f}")
    counter = memory.counters.add("bench")
    memory.counters.freeze()
    snapshot = memory.snapshot("bench", str.encode, bytes.decode)
    snapshot.publish("value")
    bench_locks(memory)
    bench_blobs(memory)
    bench_table(memory, 1000)
    bench_table(memory, MANY)
    bench_record()
    bench_deadlines(memory)
    bump = memory.counters.bump
    measure("counter: bump", lambda _: bump(counter))
    measure("counter: value, 16 processes", lambda _: memory.counters.value(counter))
    measure("snapshot: get, unchanged", lambda _: snapshot.get())
    memory.close()


if __name__ == "__main__":
    main()
