"""Whether the process that runs a failure route still lives."""

import os
import subprocess
import sys

import pytest

from openserd.mods.tm.replies.claimant import Claimant, has_process, lives, started


def test_this_process_lives() -> None:
    pid, since = Claimant().identity()
    assert pid == os.getpid()
    assert since > 0
    assert lives(pid, since)


def test_another_process_with_the_same_pid_is_another() -> None:
    pid, since = Claimant().identity()
    assert not lives(pid, since - 1)


def test_a_process_that_has_ended_does_not_live_whether_it_has_been_waited_for_or_not() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        since = started(child.pid)
        assert since
        assert lives(child.pid, since)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not lives(child.pid, since)
    assert not lives(child.pid, since)
    assert not has_process(child.pid)


def test_a_claimant_looks_itself_up_again_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    claimant = Claimant()
    claimant.identity()
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert claimant.identity() == (1, started(1))
    assert has_process(1)
