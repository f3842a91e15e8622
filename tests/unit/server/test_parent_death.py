"""A child ends with its master: what is asked of the kernel, and what if it is too late to ask."""

import os
import signal

import pytest

from openserd.server import parent_death
from openserd.server.parent_death import PR_SET_PDEATHSIG, end_with_parent


class Libc:
    """Notes what is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def prctl(self, *arguments: int) -> int:
        self.asked.append(arguments)
        return 0


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Libc:
    made = Libc()
    monkeypatch.setattr(parent_death, "_libc", made)
    return made


def test_the_kernel_is_asked_for_sigterm_at_the_parent_s_death(libc: Libc) -> None:
    end_with_parent(os.getppid())
    assert libc.asked == [(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)]


def test_a_child_whose_parent_has_died_meanwhile_leaves_at_once(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    end_with_parent(os.getppid() + 1)
    assert left == [0]
