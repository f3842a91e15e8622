"""Serial hunting while processes are killed: the next destination is tried although the worker that began is dead."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.process.conftest import PhoneMaker
from tests.process.test_worker_kills import KEPT, N_WORKERS, RATE, SCENARIOS, SECONDS, SEED, Killer
from tests.support import Phone, Server, Sipp, free_port, wait_until
from tests.support.sip import uri_of
from tests.support.sipp import write_users

HUNT = """
debug=2
log_stderror=yes
children={workers}
dns=no
rev_dns=no
disable_tcp=yes
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "mi_fifo.so"
modparam("mi_fifo", "fifo_name", "@FIFO@")
modparam("mi_fifo", "reply_dir", "@RUN@/")
modparam("tm", "unix_tx_timeout", 1)
{params}
route {{
    if (method == "OPTIONS" && uri =~ "^sip:ping@") {{
        sl_send_reply("200", "alive");
        exit;
    }}
    if (loose_route()) {{
        t_relay();
        exit;
    }}
    if (method == "INVITE") {{
        record_route();
        append_hf("X-Hint: first\\r\\n");
        t_on_failure("1");
    }}
    rewritehostport("127.0.0.1:{first}");
    t_relay();
}}
failure_route[1] {{
    if (t_check_status("486|408")) {{
        {before}
        append_branch("sip:next@127.0.0.1:{second}");
        t_relay();
    }}
}}
"""


def hunting(first: int, second: int, *, workers: int = 2, params: str = "", before: str = "") -> str:
    """A script that tries one port after the other."""
    return HUNT.format(first=first, second=second, workers=workers, params=params, before=before)


def moved(phone: Phone, port: int, host: str = "127.0.0.1") -> Phone:
    """A phone that is at another port now."""
    phone.socket.close()
    phone.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.socket.bind((host, port))
    phone.published = phone.address = phone.socket.getsockname()
    return phone


def kill_workers(server: Server) -> None:
    """Kills every worker and waits for the successors."""
    victims = server.workers()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(server.workers()) - set(victims)) == len(victims), 5.0, "successors of the workers")
    server.wait_for_answer()


def test_the_next_destination_is_tried_although_every_worker_of_then_is_dead(tmp_path: Path, phone: PhoneMaker) -> None:
    ports = free_port(), free_port()
    with Server(hunting(*ports), tmp_path) as server:
        caller = phone("alice", server)
        busy, free = moved(phone("busy", server), ports[0]), moved(phone("free", server), ports[1])
        invite = caller.invite("bob")
        first = busy.receive_request("INVITE")
        kill_workers(server)
        busy.reply(first, 486)
        busy.receive_request("ACK")
        second = free.receive_request("INVITE")
        assert uri_of(second.ruri) == f"sip:next@127.0.0.1:{ports[1]}"
        assert (second.get("x-hint"), second.all("record-route")) == ("first", first.all("record-route"))
        kill_workers(server)
        free.answers(second, ring=False)
        final = caller.receive_reply(invite, 200)
        caller.ack(invite, final)
        free.receive_request("ACK")
        busy.receives_nothing()


def with_hosts(tmp_path: Path, hosts: str) -> str:
    """A program that is this tree's server, with a hosts file of its own."""
    names, program = tmp_path / "hosts", tmp_path / "openserd-with-hosts"
    names.write_text(hosts)
    program.write_text(
        f"#!{sys.executable}\nimport pathlib\nfrom openserd.core.network import dns\n"
        f"dns.Resolver.__init__.__defaults__ = (pathlib.Path({str(names)!r}),)\n"
        "from openserd.__main__ import main\nmain()\n"
    )
    program.chmod(0o755)
    return str(program)


@pytest.mark.skipif("OPENSERD" in os.environ, reason="another build reads the machine's own hosts file")
def test_the_next_address_of_a_name_is_tried_although_every_worker_of_then_is_dead(
    tmp_path: Path, phone: PhoneMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("OPENSERD", with_hosts(tmp_path, "127.0.0.2 gw.test\n127.0.0.3 gw.test\n127.0.0.4 gw.test\n"))
    script = hunting(port, port, params='modparam("tm", "fr_timer", 1)').replace(
        f"127.0.0.1:{port}", f"gw.test:{port}", 1
    )
    with Server(script, tmp_path) as server:
        caller = phone("alice", server)
        full, silent, free = (moved(phone(f"at{n}", server), port, f"127.0.0.{n}") for n in (2, 3, 4))
        invite = caller.invite("bob")
        first = full.receive_request("INVITE")
        kill_workers(server)
        full.reply(first, 503)
        full.receive_request("ACK")
        silent.receive_request("INVITE")
        kill_workers(server)
        last = free.receive_request("INVITE", timeout=4.0)
        assert (last.ruri, last.get("x-hint")) == (first.ruri, "first")
        free.answers(last, ring=False)
        caller.ack(invite, caller.receive_reply(invite, 200))
        free.receive_request("ACK")


def test_a_failure_route_whose_worker_is_killed_in_it_is_run_by_another_process(
    tmp_path: Path, phone: PhoneMaker
) -> None:
    ports = free_port(), free_port()
    path = tmp_path / "stuck"
    blocked = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    blocked.bind(str(path))
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            filler.sendto(b"x", str(path))
    script = hunting(*ports, before=f't_write_unix("stuck", "{path}");')
    with blocked, filler, Server(script, tmp_path) as server:
        caller = phone("alice", server)
        busy, free = moved(phone("busy", server), ports[0]), moved(phone("free", server), ports[1])
        invite = caller.invite("bob")
        busy.reply(busy.receive_request("INVITE"), 486)
        busy.receive_request("ACK")
        time.sleep(0.2)  # the worker waits in the route now
        kill_workers(server)
        free.receives_nothing(seconds=0.1)
        second = free.receive_request("INVITE", timeout=5.0)
        free.answers(second, ring=False)
        caller.receive_reply(invite, 200)
        free.receives_nothing(lambda message: message.branch != second.branch)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.quiet
def test_hunts_go_on_while_workers_are_killed(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    script = hunting(*ports, workers=N_WORKERS, params=f'modparam("tm", "accepted_timer", {KEPT})')
    with Server(script, tmp_path) as server:
        sipp = Sipp(server.address, tmp_path)
        users = write_users(tmp_path / "users.csv", ([f"user{number}"] for number in range(100)))
        others = [pid for pid, kind in server.processes().items() if not kind.startswith("receiver")]
        killer = Killer(lambda: [pid for pid in server.children() if pid not in others])
        with (
            sipp.background("busy", SCENARIOS / "busy.xml", port=ports[0]) as busy,
            sipp.background("uas", SCENARIOS / "uas.xml", port=ports[1]) as callee,
            sipp.playing("uac", SCENARIOS / "uac.xml", calls=RATE * SECONDS, rate=RATE, users=users) as caller,
        ):
            end = time.monotonic() + SECONDS + 60
            while caller.process.poll() is None and time.monotonic() < end:
                if caller.seconds < SECONDS:
                    killer.look()
                time.sleep(0.02)
        calls = caller.counts
        answered, ended = calls.counter(1), calls.counter(2)
        print(f"seed {SEED}: {killer.n_kills} kills; {calls.created} calls, {calls.created - answered} not set up")
        assert calls.created - answered <= calls.created * 0.01, str(calls)
        assert answered - ended == 0, str(calls)
        assert busy.counts.created >= answered
        assert callee.counts.created >= answered
        wait_until(
            lambda: server.statistics("tm:inuse_transactions")["tm:inuse_transactions"] == 0,
            60.0,
            "every transaction has ended",
            step=0.5,
        )
