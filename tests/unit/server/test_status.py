"""The status in the log: shared memory for every process, the process table by the master."""

import logging
import os

import pytest

from openserd.core.context import Core
from openserd.server.processes import ProcessTable, Role
from openserd.server.status import log_status


class Memory:
    """A shared memory that only has statistics."""

    def statistics(self) -> dict[str, int]:
        return {"total_size": 1024, "free_size": 512}


@pytest.fixture
def table() -> ProcessTable:
    made = ProcessTable()
    for title in ("attendant", "timer"):
        made.add(Role(title, 0, lambda: None))
    made.words = memoryview(bytearray(16)).cast("I")
    made.set_pid(0, 100)
    made.set_pid(1, 101)
    return made


def lines(table: ProcessTable, row: int, memlog: int, debug: int, caplog: pytest.LogCaptureFixture) -> list[str]:
    core = Core()
    core.shared = Memory()  # type: ignore[assignment]
    core.process = row
    core.params.set("memlog", [memlog])
    with caplog.at_level(debug, "openserd"):
        log_status(core, table)
    return caplog.messages


def test_the_master_tells_all_processes_and_shared_memory(
    table: ProcessTable, caplog: pytest.LogCaptureFixture
) -> None:
    assert lines(table, 0, 2, logging.INFO, caplog) == [
        "process 0 pid 100 attendant",
        "process 1 pid 101 timer",
        f"status [{os.getpid()}] shmem:total_size = 1024",
        f"status [{os.getpid()}] shmem:free_size = 512",
    ]


def test_another_process_tells_its_own_status_only(table: ProcessTable, caplog: pytest.LogCaptureFixture) -> None:
    assert not any(line.startswith("process") for line in lines(table, 1, 2, logging.INFO, caplog))


def test_memlog_is_the_level_of_these_lines(table: ProcessTable, caplog: pytest.LogCaptureFixture) -> None:
    assert lines(table, 0, 4, logging.INFO, caplog) == []
