"""Forks, merged requests, replicas, requests written to other programs, and RFCs newer than OpenSER 1.2."""

import os
import socket
from pathlib import Path

import pytest

from openserd.core.destinations import Branch
from openserd.core.message import SipMsg
from openserd.errors import ConfigError
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory
from openserd.testing import Script
from tests.unit.mods.tm.conftest import CALLEE, CALLER, SECOND_CALLEE, World
from tests.unit.mods.tm.test_calls import is_gone, start, statuses

SECOND = b"sip:bob@192.0.2.21"


def forked(world: World, extra: str = "", uri: str = "sip:bob@192.0.2.20") -> SipMsg:
    """A request with two destinations."""
    msg = world.request(uri=uri, extra=extra)
    msg.branches.append(Branch(SECOND))
    return msg


def back(sent: Message, world: World, uri: bytes | None = None) -> SipMsg:
    """A request that comes back to the server as it was sent, or under another URI."""
    data = sent.buf if uri is None else sent.buf.replace(sent.ruri, uri, 1)
    return SipMsg(data, CALLEE, world.wire)


# -- loops and forks (RFC 5393) ----------


@pytest.mark.conformance("LOOP-01")
def test_a_fork_that_comes_back_to_itself_is_refused(world: World) -> None:
    assert world.tm.t_relay(forked(world)) == 1
    sent = next(m for _, m in world.take() if m.method)
    again = back(sent, world)
    again.branches.append(Branch(SECOND))
    assert world.tm.t_relay(again) == 0
    [reply] = [m for _, m in world.take() if m.status != 100]
    assert (reply.status, reply.reason) == (482, b"Loop Detected (482/TM)")


@pytest.mark.conformance("PRX-06", "LOOP-02")
def test_a_spiral_is_no_loop(world: World) -> None:
    world.tm.t_relay(forked(world))
    sent = next(m for _, m in world.take() if m.method)
    again = back(sent, world, b"sip:carol@192.0.2.20")
    again.branches.append(Branch(SECOND))
    assert world.tm.t_relay(again) == 1


def test_a_request_with_one_destination_is_left_alone(world: World) -> None:
    [sent] = start(world)
    assert sent.indexes_named(b"Max-Breadth") == []
    assert len(sent.top_via().branch or b"") < 40
    assert world.tm.t_relay(back(sent, world)) == 1


def test_loop_detection_0_and_max_breadth_0_fork_as_openser_does(memory: SharedMemory) -> None:
    world = World(memory, loop_detection=0, max_breadth=0)
    world.tm.t_relay(forked(world))
    sent = next(m for _, m in world.take() if m.method)
    assert sent.indexes_named(b"Max-Breadth") == []
    again = back(sent, world)
    again.branches.append(Branch(SECOND))
    assert world.tm.t_relay(again) == 1


@pytest.mark.conformance("LOOP-03")
@pytest.mark.parametrize(("extra", "shares"), [("", [30, 30]), ("Max-Breadth: 5\r\n", [3, 2])])
def test_a_fork_divides_max_breadth(world: World, extra: str, shares: list[int]) -> None:
    world.tm.t_relay(forked(world, extra))
    sent = [m for _, m in world.take() if m.method]
    assert [int(m.value(m.indexes_named(b"Max-Breadth")[0])) for m in sent] == shares
    assert all(len(m.indexes_named(b"Max-Breadth")) == 1 for m in sent)


@pytest.mark.conformance("LOOP-03")
def test_too_little_breadth_for_a_fork_is_refused(world: World) -> None:
    assert world.tm.t_relay(forked(world, "Max-Breadth: 1\r\n")) == 0
    assert statuses(world) == [440]


# -- merged requests ----------


def test_the_same_request_by_another_way_is_refused_where_a_parameter_says_so(memory: SharedMemory) -> None:
    world = World(memory, merged_requests=0)
    assert world.tm.t_relay(world.request()) == 1
    world.take()
    assert world.tm.t_relay(world.request()) == 0
    assert statuses(world) == [100], "a retransmission is none"
    assert world.tm.t_relay(world.request(branch="z9hG4bKother")) == 0
    assert statuses(world) == [482]
    assert world.tm.t_relay(world.request("BYE", branch="z9hG4bKbye", cseq=2, to_tag="b")) == 1
    world.advance(80_000)
    assert is_gone(world)
    assert world.tm.t_relay(world.request(branch="z9hG4bKlater")) == 1


def test_merged_requests_pass_by_default(world: World) -> None:
    assert world.tm.t_relay(world.request()) == 1
    assert world.tm.t_relay(world.request(branch="z9hG4bKother")) == 1


# -- requests other than INVITE that nobody answers (RFC 4320) ----------


@pytest.mark.conformance("NIT-03", "NIT-04")
@pytest.mark.parametrize(("late", "answers"), [(0, []), (1, [408])])
def test_a_request_that_nobody_answers_is_not_answered_408(memory: SharedMemory, late: int, answers: list[int]) -> None:
    world = World(memory, late_408=late)
    [bye] = start(world, method="BYE")
    world.advance(30_100)
    assert statuses(world) == answers
    world.reply(bye, 200)
    assert statuses(world) == []
    world.advance(5_200)
    assert is_gone(world)
    assert world.reply(bye, 200), "nor is the answer that comes too late"
    assert world.take() == []


# -- replicas ----------


def test_a_replica_is_sent_once_and_its_replies_stay_here(world: World) -> None:
    for _ in range(2):
        assert world.tm.t_replicate(world.request("REGISTER"), b"sip:192.0.2.99:5070") == 1
    [(address, copy)] = world.take()
    assert (address, copy.ruri) == (("192.0.2.99", 5070), b"sip:bob@192.0.2.20")
    world.advance(600)
    assert [m.buf for _, m in world.take()] == [copy.buf]
    world.reply(copy, 200)
    world.advance(5_200)
    assert world.take() == []
    assert is_gone(world)


def test_a_replica_that_nobody_answers_is_given_up_silently(world: World) -> None:
    world.tm.t_replicate(world.request("REGISTER"), b"sip:192.0.2.99")
    world.advance(40_000)
    assert statuses(world) == []
    assert is_gone(world)


def test_a_request_can_be_replicated_and_relayed(world: World) -> None:
    failures: list[int] = []
    world.block("failure", lambda msg: failures.append(1) or 1)
    msg = world.request()
    world.tm.t_on_failure(msg, b"1")
    assert world.tm.t_replicate(msg, b"sip:192.0.2.99") == 1
    assert world.tm.t_relay(msg) == 1
    sent = world.take()
    assert [a for a, m in sent if m.method] == [("192.0.2.99", 5060), CALLEE]
    world.reply(sent[0][1], 486)
    assert failures == []
    assert CALLER not in [a for a, _ in world.take()]


def test_a_replica_to_nowhere_is_told(world: World) -> None:
    msg = world.request("REGISTER")
    assert world.tm.t_replicate(msg, b"sip:[::1]") == -1
    assert msg.error is not None


# -- t_write_req, t_write_unix ----------

WRITING = """
loadmodule "tm.so"
modparam("tm", "tw_append", "more:UA=$hdr(User-Agent);$rb;seen=$var(x)")
route {
    t_newtran();
    setflag(5);
    $var(x) = 7;
    if (!t_write_unix("voicemail/more", "PATH")) t_reply("500", "nobody");
}
"""


@pytest.fixture
def receiver(tmp_path: Path) -> "socket.socket":
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "socket"))
    sock.settimeout(2)
    return sock


def test_a_request_is_written_to_a_socket_and_answered_408_when_nobody_answers(
    receiver: socket.socket, tmp_path: Path
) -> None:
    with receiver, Script.text(WRITING.replace("PATH", str(tmp_path / "socket"))) as script:
        headers = {"User-Agent": "test", "Record-Route": "<sip:10.0.0.9;lr>"}
        call = script.request("INVITE sip:bob@192.0.2.20", headers=headers, body="v=0\r\n")
        assert call.sent == []
        lines = receiver.recv(65536).decode().split("\n")
        assert lines[:5] == ["0.3", "sip_request.voicemail", "INVITE", "bob", "192.0.2.20"]
        assert lines[5:8] == ["198.51.100.1", ".", "sip:bob@192.0.2.20"]
        assert lines[14].isdigit()
        assert lines[16:18] == ["<sip:10.0.0.9;lr>", "sip:10.0.0.9;lr"]
        assert lines[18:23] == ["P-MsgFlags: 02", "UA: test", "seen: 7", ".", "v=0\r"]
        assert script.advance(31).reply.status == 408


def test_a_socket_that_nobody_has_is_told_to_the_script(tmp_path: Path) -> None:
    with Script.text(WRITING.replace("PATH", str(tmp_path / "nobody"))) as script:
        assert script.request("INVITE sip:bob@192.0.2.20").reply.status == 500


def test_a_request_is_written_to_a_fifo_in_either_order_of_arguments(tmp_path: Path) -> None:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    for arguments in (f'"vm", "{path}"', f'"{path}", "vm"'):
        with Script.text(f'loadmodule "tm.so"\nroute {{ t_newtran(); t_write_req({arguments}); }}') as script:
            script.request("INVITE sip:bob@192.0.2.20")
            assert os.read(fd, 65536).startswith(b"0.3\nsip_request.vm\nINVITE\n")
    os.close(fd)


@pytest.mark.parametrize("call", ['t_write_req("vm/none", "/tmp/x")', 't_write_unix("/no", "vm/none")'])
def test_an_append_that_is_not_defined_is_found_when_the_script_is_read(call: str) -> None:
    with pytest.raises((ConfigError, Exception), match="none"):
        Script.text(f'loadmodule "tm.so"\nroute {{ {call}; }}')


def test_enable_stats_0_has_no_statistics(memory: SharedMemory) -> None:
    world = World(memory, enable_stats=0)
    assert list(world.core.statistics.select("tm:")) == []
    start(world)


def test_both_branches_of_a_fork_get_their_own_answer(world: World) -> None:
    world.tm.t_relay(forked(world))
    sent = {a: m for a, m in world.take() if m.method}
    world.reply(sent[CALLEE], 404)
    world.reply(sent[SECOND_CALLEE], 200)
    assert statuses(world) == [200]
