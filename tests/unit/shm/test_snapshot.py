"""Snapshots: what is read is what was published last, decoded once."""

import json

import pytest

from openserd.errors import ResourceError
from openserd.shm.blobs import MAX_PAYLOAD, Blobs
from openserd.shm.locks import HOLDS, Locks
from openserd.shm.segment import MEGABYTE, Segment
from openserd.shm.snapshot import N_PARTS, Snapshot

from .conftest import N_PROCESSES


@pytest.fixture
def blobs(segment: Segment, locks: Locks) -> Blobs:
    return Blobs(segment, locks, 4 * MEGABYTE, N_PROCESSES)


@pytest.fixture
def decoded() -> list[bytes]:
    """What was given to `decode`, in order."""
    return []


@pytest.fixture
def snapshot(segment: Segment, locks: Locks, blobs: Blobs, decoded: list[bytes]) -> Snapshot[list[str]]:
    def encode(value: list[str]) -> bytes:
        return json.dumps(value).encode()

    def decode(data: bytes) -> list[str]:
        decoded.append(data)
        return [str(item) for item in json.loads(data)]

    return Snapshot("domains", segment, locks, blobs, encode, decode)


def test_what_is_published_is_read(snapshot: Snapshot[list[str]]) -> None:
    snapshot.publish(["example.com"])
    assert snapshot.get() == ["example.com"]
    assert snapshot.version == 1


def test_reading_before_the_first_publication_is_an_assertion(snapshot: Snapshot[list[str]]) -> None:
    assert snapshot.version == 0 and snapshot.refs() == []
    with pytest.raises(AssertionError, match="domains"):
        snapshot.get()


def test_a_value_is_decoded_once_a_version(snapshot: Snapshot[list[str]], decoded: list[bytes]) -> None:
    snapshot.publish(["a"])
    assert snapshot.get() is snapshot.get()
    snapshot.publish(["b"])
    assert snapshot.get() == ["b"]
    assert decoded == [b'["a"]', b'["b"]']


def test_the_old_bytes_are_freed(snapshot: Snapshot[list[str]], blobs: Blobs) -> None:
    for i in range(5):
        snapshot.publish([str(i)])
    assert list(blobs.used_refs()) == snapshot.refs()


@pytest.mark.parametrize("n_bytes", [MAX_PAYLOAD - N_PARTS.size, MAX_PAYLOAD, MAX_PAYLOAD * 3 + 1])
def test_a_value_may_be_longer_than_a_blob(segment: Segment, locks: Locks, blobs: Blobs, n_bytes: int) -> None:
    snapshot: Snapshot[bytes] = Snapshot("big", segment, locks, blobs, bytes, bytes)
    value = bytes(range(251)) * (n_bytes // 251 + 1)
    snapshot.publish(value[:n_bytes])
    assert snapshot.get() == value[:n_bytes]
    assert set(blobs.used_refs()) == set(snapshot.refs())
    snapshot.publish(b"small")
    assert snapshot.get() == b"small"
    assert list(blobs.used_refs()) == snapshot.refs()


def test_without_memory_the_old_value_stays_and_nothing_leaks(segment: Segment, locks: Locks, blobs: Blobs) -> None:
    snapshot: Snapshot[bytes] = Snapshot("big", segment, locks, blobs, bytes, bytes)
    snapshot.publish(b"old")
    with pytest.raises(ResourceError):
        snapshot.publish(bytes(5 * MEGABYTE))
    assert snapshot.get() == b"old" and snapshot.version == 1
    assert list(blobs.used_refs()) == snapshot.refs()


def test_a_publisher_killed_between_the_stores_has_its_version_raised(
    snapshot: Snapshot[list[str]], blobs: Blobs, locks: Locks
) -> None:
    snapshot.publish(["old"])
    assert snapshot.get() == ["old"]
    locks.enter(1)
    snapshot._lock.acquire()
    snapshot._words[snapshot._at + 1] = snapshot._store(b'["new"]')
    locks.enter(0)
    assert locks.held(1) == [("domains", 0, HOLDS)]
    assert locks.free_dead(1) == [("domains", 0)]
    assert snapshot.get() == ["new"]


def test_the_version_is_never_0_again(snapshot: Snapshot[list[str]]) -> None:
    snapshot._words[snapshot._at] = 0xFFFFFFFF
    snapshot.publish(["a"])
    assert snapshot.version == 1
