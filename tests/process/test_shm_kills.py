"""Processes that share memory are killed at random places, and the others go on.

The master forks children that change tables, blobs, a snapshot and counters as fast as they can, kills them while
they hold a lock, wait for one, allocate or do anything else, recovers, and forks successors.  At the end nothing may
be stuck, torn or lost.  OPENSERD_SOAK_KILLS sets the number of kills, OPENSERD_SOAK_SEED repeats a run's choices.
"""

import faulthandler
import os
import random
import signal
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from openserd.errors import ResourceError
from openserd.shm import Bytes, Record, Ref, SharedMemory, Snapshot, Table
from openserd.shm.blobs import N_CLASSES
from openserd.shm.freelist import STATE_MASK, USED
from openserd.shm.locks import HOLDS, RELEASING, WANTS
from tests.support.server import left_in_shm, shared_names

N_KILLS = int(os.environ.get("OPENSERD_SOAK_KILLS", "60"))
SEED = int(os.environ.get("OPENSERD_SOAK_SEED", str(time.time_ns() & 0xFFFFFF)))
N_CHILDREN = 4
N_KEYS = 40
PROGRESS_S = 1.0  #: how long a survivor may take for one round before it counts as stuck
END_S = 20.0  #: how long one that was told to end may take
EXIT_BROKEN = 3
is_leaving: list[bool] = []


@dataclass(slots=True)
class Call(Record):
    """A record that owns a blob, with a checksum over both."""

    reply: Ref
    checksum: Bytes
    body: Bytes


def checksum(key: bytes, body: bytes, reply: bytes) -> bytes:
    return zlib.crc32(key + b"/" + body + b"/" + reply).to_bytes(4, "big")


class Server:
    """Shared memory, what the children do with it, and the master that kills them."""

    def __init__(self) -> None:
        self.memory = SharedMemory(6, N_CHILDREN + 1)
        self.calls: Table = self.memory.table("calls", 400, 16, refs=Call.refs, n_stripes=4)
        self.plain: Table = self.memory.table("plain", 200, 4, n_stripes=2)
        self.news: Snapshot[bytes] = self.memory.snapshot("news", with_checksum, without_checksum)
        self.busy = self.memory.lock_set("busy", 2)
        self.words = self.memory.words(4)  # stop, lock-protected pair, times an allocation was refused
        self.rounds = self.memory.counters.add("rounds")
        self.memory.seal()
        self.news.publish(b"first")
        self.pids: dict[int, int] = {}
        self.random = random.Random(SEED)
        self.freed: list[tuple[str, int]] = []
        self.slowest = 0.0

    # what a child does

    def child(self, process: int, seed: int) -> None:
        """Never comes back."""
        try:
            faulthandler.register(signal.SIGUSR2, file=sys.__stderr__)
            signal.signal(signal.SIGTERM, leave)
            self.memory.enter(process)
            master = os.getppid()
            self.memory.locks.on_stall = lambda *_: os._exit(0) if os.getppid() != master else None
            self.memory.locks.on_wait = leave_if_told
            choose = random.Random(seed)
            actions: list[Callable[[random.Random], None]] = [
                self.store_call, self.store_call, self.read_call, self.remove_call, self.change_plain,
                self.change_pair, self.cycle_blobs, self.read_news, self.return_slabs,
            ]  # fmt: skip
            while not self.words[0] and not is_leaving and os.getppid() == master:
                choose.choice(actions)(choose)
                if choose.random() < 0.01:
                    self.publish_news(choose)
                self.memory.counters.bump(self.rounds)
            os._exit(0)
        except SystemExit:
            os._exit(0)
        except BaseException:
            if is_leaving:  # the lock was in no state to be released while the stack was unwound
                os._exit(0)
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(EXIT_BROKEN)

    def read(self, key: bytes, slot: int) -> Call:
        """The record, checked; its stripe is locked."""
        assert self.calls.key(slot) == key
        call = Call.unpack(self.calls.payload(slot))
        assert call.checksum == checksum(key, call.body, self.memory.blobs.get(call.reply))
        return call

    def store_call(self, choose: random.Random) -> None:
        key = b"call-%d" % choose.randrange(N_KEYS)
        body = choose.randbytes(choose.choice((5, 300, 900, 4000)))
        reply = choose.randbytes(choose.choice((20, 400)))
        hash = self.calls.hash(key)
        self.calls.stripes.acquire(hash)
        try:
            ref = self.memory.blobs.put(reply)
            payload = Call(ref, checksum(key, body, reply), body).pack()
            slot = self.calls.find(key, hash)
            if slot:
                old = self.read(key, slot)
                self.calls.replace(slot, payload)
                self.memory.blobs.free(old.reply)
            else:
                self.calls.insert(key, hash, payload)
        except ResourceError:
            self.words[3] += 1
        finally:
            self.calls.stripes.release(hash)

    def read_call(self, choose: random.Random) -> None:
        key = b"call-%d" % choose.randrange(N_KEYS)
        hash = self.calls.hash(key)
        self.calls.stripes.acquire(hash)
        slot = self.calls.find(key, hash)
        if slot:
            self.read(key, slot)
            assert self.calls.is_live(slot, self.calls.generation(slot))
        self.calls.stripes.release(hash)

    def remove_call(self, choose: random.Random) -> None:
        key = b"call-%d" % choose.randrange(N_KEYS)
        hash = self.calls.hash(key)
        self.calls.stripes.acquire(hash)
        slot = self.calls.find(key, hash)
        if slot:
            reply = self.read(key, slot).reply
            self.calls.remove(slot)
            self.memory.blobs.free(reply)
        self.calls.stripes.release(hash)

    def change_plain(self, choose: random.Random) -> None:
        key = b"%d" % choose.randrange(100)
        hash = self.plain.hash(key)
        self.plain.stripes.acquire(hash)
        slot = self.plain.find(key, hash)
        if slot:
            assert self.plain.payload(slot) == key * 10
            self.plain.remove(slot)
        else:
            self.plain.insert(key, hash, key * 10)
        self.plain.stripes.release(hash)

    def change_pair(self, choose: random.Random) -> None:
        """Two locks in ascending order, released in any; only one process at a time may be inside."""
        self.busy.acquire(0)
        self.busy.acquire(1)
        self.words[1] = os.getpid()
        for _ in range(choose.randrange(20)):
            assert self.words[1] == os.getpid()
        first = choose.randrange(2)
        self.busy.release(first)
        self.busy.release(1 - first)

    def cycle_blobs(self, choose: random.Random) -> None:
        """Enough of one class to refill and spill private lists."""
        size = choose.choice((40, 900, 20_000))
        datas = [choose.randbytes(4) * (size // 4) for _ in range(choose.choice((1, 40)))]
        refs = []
        try:
            refs = [self.memory.blobs.put(data) for data in datas]
        except ResourceError:
            self.words[3] += 1  # what was put is lost: the sweep's
        for ref, data in zip(refs, datas, strict=False):
            assert self.memory.blobs.get(ref) == data
            self.memory.blobs.free(ref)

    def publish_news(self, choose: random.Random) -> None:
        try:
            self.news.publish(choose.randbytes(choose.choice((10, 5000, 200_000))))
        except ResourceError:
            self.words[3] += 1

    def return_slabs(self, choose: random.Random) -> None:
        """What a process does when a class of blobs is exhausted, or the timer process when it sweeps."""
        self.memory.blobs._return_slabs(choose.randrange(N_CLASSES))

    def read_news(self, _: random.Random) -> None:
        self.news.get()

    # what the master does

    def spawn(self, process: int) -> None:
        seed = self.random.randrange(1 << 30)
        pid = os.fork()
        if not pid:
            self.child(process, seed)
        self.pids[process] = pid

    def kill_one(self) -> None:
        """Kill a child, at once or when it is seen in some state of a lock; recover, fork its successor."""
        process = self.random.choice(list(self.pids))
        state = self.random.choice((0, WANTS, HOLDS, RELEASING))
        name = self.random.choice(("", "", "blobs", "calls slots", "news", "busy"))
        deadline = time.monotonic() + 0.05
        while state and time.monotonic() < deadline:
            held = self.memory.locks.held(process)
            if any(lock[2] == state and name in ("", lock[0]) for lock in held):
                break
        victims = {process}
        if self.random.random() < 0.2:
            victims.add(self.random.choice(list(self.pids)))
        sign = self.random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        for victim in victims:
            os.kill(self.pids[victim], sign)
        for victim in victims:
            assert self.reap(victim) in (-sign, 0 if sign == signal.SIGTERM else -sign)
            self.freed += self.memory.recover(victim)
            self.spawn(victim)

    def reap(self, process: int) -> int:
        """Exit code of a child that has ended or is about to; one that does not tells where it is."""
        pid = self.pids[process]
        deadline = time.monotonic() + END_S
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGUSR2)
                time.sleep(0.5)
                raise AssertionError(f"{process} does not end, with {self.memory.locks.held(process)}")
            time.sleep(0.0005)
        _, status = os.waitpid(self.pids.pop(process), 0)
        return os.waitstatus_to_exitcode(status)

    def assert_progress(self) -> None:
        """Every child finishes a round."""
        counters = self.memory.counters
        before = {process: counters.own(self.rounds, process) for process in self.pids}
        began = time.monotonic()
        while any(counters.own(self.rounds, process) == count for process, count in before.items()):
            if time.monotonic() - began > PROGRESS_S:
                held = {process: self.memory.locks.held(process) for process in self.pids}
                raise AssertionError(f"stuck: {held}, freed {self.freed[-5:]}")
            time.sleep(0.001)
        self.slowest = max(self.slowest, time.monotonic() - began)

    def run(self, n_kills: int) -> None:
        for process in range(1, N_CHILDREN + 1):
            self.spawn(process)
        for kill in range(n_kills):
            time.sleep(self.random.random() * 0.01)
            self.kill_one()
            if kill % 3 == 0:
                self.assert_progress()
            if kill % 10 == 0:
                self.memory.sweep()
        self.assert_progress()

    def stop(self) -> None:
        """End all children, in good order if they can."""
        self.words[0] = 1
        codes = {}
        deadline = time.monotonic() + PROGRESS_S
        while self.pids and time.monotonic() < deadline:
            for process, pid in list(self.pids.items()):
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    codes[process] = self.reap(process)
                    self.memory.recover(process)
            time.sleep(0.001)
        stuck = dict(self.pids)
        self.kill_all()
        assert not stuck and set(codes.values()) <= {0}, (stuck, codes)

    def kill_all(self) -> None:
        for process, pid in list(self.pids.items()):
            os.kill(pid, signal.SIGKILL)
            self.reap(process)


def leave(*_: object) -> None:
    """SIGTERM in a child: ends it by an exception, wherever it is."""
    is_leaving.append(True)
    raise SystemExit


def leave_if_told() -> None:
    """The same for a child that waits for a lock."""
    if is_leaving:
        raise SystemExit


def with_checksum(value: bytes) -> bytes:
    return zlib.crc32(value).to_bytes(4, "big") + value


def without_checksum(data: bytes) -> bytes:
    assert zlib.crc32(data[4:]).to_bytes(4, "big") == data[:4]
    return data[4:]


def assert_nothing_lost(server: Server) -> None:
    """Tables, blobs and semaphores are exactly what is reachable."""
    memory = server.memory
    memory.sweep()
    memory.sweep()
    reachable = {*server.calls.refs(), *server.plain.refs(), *server.news.refs()}
    assert set(memory.blobs.used_refs()) == reachable
    assert len(reachable) == 2 * server.calls.used + server.plain.used + len(server.news.refs())
    for table in (server.calls, server.plain):
        assert all(table.find(table.key(slot), table.hash_of(slot)) == slot for slot in table.slots())
        states = [state for _, state in table._units()]
        assert len(table._free) + len(table._private) == sum(1 for state in states if state & STATE_MASK != USED)
    for slot in server.calls.slots():
        server.read(server.calls.key(slot), slot)
    for lock_set, i in memory.locks._owners:
        assert lock_set.semaphores[i].get_value() == 1, (lock_set.name, i)
    for process in range(1, N_CHILDREN + 1):
        assert memory.locks.held(process) == [] and memory.locks.pid(process) == 0


@pytest.mark.soak
@pytest.mark.timeout(0 if N_KILLS > 1000 else 120)
@pytest.mark.quiet
def test_killed_holders_waiters_and_allocators_leave_nothing_stuck_torn_or_lost() -> None:
    print(f"seed {SEED}, {N_KILLS} kills")
    before = shared_names()
    server = Server()
    assert not left_in_shm(before)
    try:
        server.run(N_KILLS)
        server.stop()
    finally:
        server.kill_all()
    assert_nothing_lost(server)
    assert not left_in_shm(before)
    rounds = server.memory.counters.value(server.rounds)
    print(
        f"{rounds} rounds, slowest progress {server.slowest:.3f} s, freed {len(server.freed)} locks, "
        f"{server.words[3]} allocations refused"
    )
    assert rounds > N_KILLS
    server.memory.close()
