"""Statistics: counted in one process, shared by several, selected by name."""

from collections.abc import Iterator

import pytest

from openserd.core.management.statistics import Statistic, Statistics, Unshared
from openserd.shm.memory import SharedMemory


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    made = SharedMemory(1, 3)
    yield made
    made.close()


@pytest.fixture
def statistics() -> Statistics:
    made = Statistics()
    made.add(Statistic("core", "rcv_requests"))
    made.add(Statistic("tm", "2xx_transactions"))
    made.add(Statistic("usrloc", "location-users", resettable=False))
    made.add(Statistic("shmem", "free_size", compute=lambda: 512))
    return made


def names(statistics: Statistics, word: str) -> list[str]:
    return [f"{one.group}:{one.name}" for one in statistics.select(word)]


def test_before_there_is_shared_memory_a_statistic_counts_by_itself() -> None:
    statistic = Statistic("core", "rcv_requests")
    statistic.bump()
    statistic.bump(4)
    assert statistic.value() == 5
    statistic.reset()
    assert statistic.value() == 0


def test_shared_counts_are_summed_over_all_processes(memory: SharedMemory, statistics: Statistics) -> None:
    statistics.share(memory.counters)
    memory.seal()
    counted, other = list(statistics.select("core:")) + list(statistics.select("tm:"))
    for process in (0, 1, 2):
        memory.enter(process)
        counted.bump(process + 1)
    assert (counted.value(), other.value()) == (6, 0)
    counted.reset()
    assert counted.value() == 0
    counted.bump()
    assert counted.value() == 1


def test_a_computed_statistic_is_asked_each_time_and_can_be_neither_shared_nor_reset(memory: SharedMemory) -> None:
    size = [1]
    statistic = Statistic("shmem", "free_size", compute=lambda: size[0])
    statistic.share(memory.counters)
    assert isinstance(statistic.counters, Unshared) and not statistic.resettable and statistic.value() == 1
    size[0] = 2
    statistic.reset()
    assert statistic.value() == 2


def test_what_cannot_be_reset_keeps_its_value(statistics: Statistics) -> None:
    users = next(statistics.select("location-users"))
    users.bump(3)
    users.reset()
    assert users.value() == 3


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("all", ["core:rcv_requests", "tm:2xx_transactions", "usrloc:location-users", "shmem:free_size"]),
        ("tm:", ["tm:2xx_transactions"]),
        ("TM:", ["tm:2xx_transactions"]),
        ("rcv_requests", ["core:rcv_requests"]),
        ("Core:RCV_requests", ["core:rcv_requests"]),
        ("tm", []),
        ("tm:nothing", []),
        (":", []),
        ("", []),
    ],
)
def test_a_word_selects_all_a_group_or_a_name_whatever_the_case(
    statistics: Statistics, word: str, found: list[str]
) -> None:
    assert names(statistics, word) == found


def test_a_second_one_of_the_same_name_takes_the_first_one_s_place(statistics: Statistics) -> None:
    second = statistics.add(Statistic("CORE", "rcv_Requests"))
    assert list(statistics.select("rcv_requests")) == [second]


def test_what_was_counted_before_the_fork_is_shared_too(memory: SharedMemory, statistics: Statistics) -> None:
    counted = statistics.add(Statistic("usrloc", "preloaded"))
    counted.bump(7)
    statistics.share(memory.counters)
    memory.seal()
    memory.enter(1)
    counted.bump()
    assert counted.value() == 8
