"""The process table: rows are decided before the fork, pids change afterwards."""

import time

import pytest

from openserd.server.processes import RANK_MASTER, RANK_TIMER, ProcessTable, Role
from openserd.shm.memory import SharedMemory


def nothing() -> None:
    """A life."""


def table_of(*titles: str) -> ProcessTable:
    table = ProcessTable()
    for rank, title in enumerate(titles):
        assert table.add(Role(title, rank, nothing)) == rank
    return table


def test_rows_are_numbered_in_the_order_they_are_added() -> None:
    table = table_of("attendant", "receiver", "timer")
    assert [role.title for role in table.roles] == ["attendant", "receiver", "timer"]
    assert (RANK_MASTER, RANK_TIMER) == (0, -1)


def test_pids_are_kept_in_shared_memory_and_0_means_nobody() -> None:
    memory = SharedMemory(1, 3)
    table = table_of("attendant", "receiver", "timer")
    table.share(memory)
    memory.seal()
    assert table.processes() == [(0, 0, "attendant"), (1, 0, "receiver"), (2, 0, "timer")]
    table.set_pid(0, 100)
    table.set_pid(1, 4_194_304)
    assert table.processes() == [(0, 100, "attendant"), (1, 4_194_304, "receiver"), (2, 0, "timer")]
    table.set_pid(1, 0)
    assert table.pid(1) == 0
    table.words = None
    memory.close()


def test_a_row_tells_since_when_it_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of("attendant")
    table.words = memoryview(bytearray(8)).cast("I")
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.9)
    table.set_pid(0, 7)
    assert list(table.words) == [7, 1_800_000_000]


def test_a_table_that_is_not_shared_yet_knows_no_pids() -> None:
    with pytest.raises(AssertionError):
        table_of("attendant").pid(0)
