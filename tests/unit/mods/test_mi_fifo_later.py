"""Answers of the management interface that come later, from another process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from openserd.core.context import Core
from openserd.core.management.mi import Command, Reply
from openserd.core.management.text import Argument
from openserd.mods.mi_fifo import MiFifo
from openserd.mods.mi_fifo.fifo import FifoServer, ReplyDirectory, RequestFifo
from openserd.mods.mi_fifo.wire import Request
from openserd.shm.memory import SharedMemory


class Later:
    """A command that answers later, and the FIFO's process beside it."""

    def __init__(self, core: Core, folder: Path) -> None:
        self.core = core
        self.tickets: list[str] = []
        self.folder = folder
        core.mi.add(Command("later", self.command, 0, 1, "test", True))
        module = MiFifo(fifo_name=str(folder / "fifo"), reply_dir=str(folder))
        module.on_init(core)
        assert core.shared is not None
        core.shared.seal()
        request_fifo = RequestFifo(str(folder / "fifo"), 0o600, -1, -1)
        self.server = FifoServer(core.mi, request_fifo, ReplyDirectory(str(folder)), "\t", module.later)

    def command(self, ticket: str, text: str = "") -> Reply | None:
        self.tickets.append(ticket)
        return None if text != "now" else Reply(reason="now")

    def call(self, *arguments: str, name: str = "reply") -> int:
        """Calls the command; where its answer can be read."""
        path = self.folder / name
        if not path.exists():
            os.mkfifo(path)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.server.queue.append(Request("later", name, [Argument("", text) for text in arguments]))
        self.server.admit()
        return fd

    def look(self) -> None:
        """One look at all callers."""
        self.server.callers = [caller for caller in self.server.callers if not self.server.serve_caller(caller)]


@pytest.fixture
def later(tmp_path: Path) -> Iterator[Later]:
    core = Core()
    core.shared = SharedMemory(4, 2)
    yield Later(core, tmp_path)
    core.shared.close()


def read(fd: int) -> bytes:
    """What is there, b"" at the end."""
    return os.read(fd, 4096)


def test_an_answer_is_given_when_it_comes_and_the_reply_fifo_stays_open_until_then(later: Later) -> None:
    fd = later.call()
    later.look()
    with pytest.raises(BlockingIOError):
        read(fd)
    later.core.mi.answer(later.tickets[0], Reply(reason="at last"))
    later.look()
    assert read(fd) == b"200 at last\n\n"
    assert read(fd) == b""
    assert later.server.callers == []
    os.close(fd)


def test_a_command_may_answer_at_once(later: Later) -> None:
    fd = later.call("now")
    assert read(fd) == b"200 now\n\n"
    os.close(fd)


def test_two_callers_get_their_own_answers(later: Later) -> None:
    first, second = later.call(name="one"), later.call(name="two")
    later.core.mi.answer(later.tickets[1], Reply(reason="second"))
    later.core.mi.answer(later.tickets[0], Reply(reason="first"))
    later.look()
    assert (read(first), read(second)) == (b"200 first\n\n", b"200 second\n\n")
    os.close(first)
    os.close(second)


def test_a_caller_who_goes_is_forgotten_and_so_is_its_answer(later: Later) -> None:
    os.close(later.call())
    later.look()
    assert later.server.callers == []
    later.core.mi.answer(later.tickets[0], Reply())
    assert later.server.later is not None
    later.server.later.forget_others(set())
    assert later.server.later.table.used == 0


def test_an_answer_to_nobody_is_nothing(later: Later) -> None:
    later.core.mi.answer("elsewhere:1", Reply())
    later.core.mi.answer("", Reply())
