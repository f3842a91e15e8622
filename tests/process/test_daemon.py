"""The daemon as its operator knows it: command line, going to the background, signals, deaths of its processes."""

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Phone, Server, check_script, free_port, hello_world, wait_until
from tests.support.probe import Prober, answers
from tests.support.server import (
    LOOPBACK,
    ServerError,
    descendants,
    left_in_shm,
    program,
    read_process,
    shared_names,
    title_of,
)

GOOD = hello_world(children=1)
BROKEN = 'debug=2\nroute {\n    sl_send_reply("404", "Not here");\n}\n'
TITLES = ["attendant", "receiver child=0", "receiver child=1", "timer", "MI FIFO"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change user, group and root directory")


def run_openserd(run: Path, *args: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """What a command line of openserd comes to."""
    return subprocess.run(
        [*program(), *args], capture_output=True, text=True, timeout=timeout, cwd=run, stdin=subprocess.DEVNULL
    )


def write_script(run: Path, text: str) -> str:
    path = run / "openser.cfg"
    path.write_text(text.replace("@RUN@", str(run)).replace("@FIFO@", str(run / "fifo")))
    return str(path)


def pid_of(server: Server, title: str) -> int:
    """The pid that fills the row of that title now; 0 while nobody does."""
    return next((pid for pid, kind in server.processes().items() if kind.startswith(title)), 0)


def wait_for_successor(server: Server, title: str, dead: int, timeout: float) -> float:
    """Seconds until another process than `dead` fills the row."""
    start = time.monotonic()
    wait_until(lambda: server.child(title) not in (0, dead), timeout, f"a new {title}", step=0.005)
    return time.monotonic() - start


# --- command line ----------


@pytest.mark.parametrize("option", ["-c", "-C"])
def test_a_good_script_is_called_ok(option: str, tmp_path: Path) -> None:
    text = GOOD.replace("@RUN@", str(tmp_path)).replace("@FIFO@", str(tmp_path / "fifo"))
    result = check_script(text, tmp_path, option)
    assert (result.returncode, result.stdout) == (0, "config file ok, exiting...\n"), result.stderr
    assert not (tmp_path / "fifo").exists(), "a check makes nothing"


@pytest.mark.parametrize("option", ["-c", "-C"])
def test_a_broken_script_is_told_where_and_ends_with_255(option: str, tmp_path: Path) -> None:
    result = check_script(BROKEN, tmp_path, option)
    assert (result.returncode, result.stdout) == (255, "")
    first, *rest = result.stderr.splitlines()
    assert first == f"{tmp_path}/openser.cfg:3:5: unknown function sl_send_reply"
    assert "Traceback" not in result.stderr
    assert any("hint: module sl exports sl_send_reply" in line for line in rest)


def test_only_large_c_looks_at_the_kinds_of_routes(tmp_path: Path) -> None:
    wrong = 'loadmodule "tm.so"\nroute { t_relay(); }\nonreply_route[1] { t_relay(); }\n'
    assert check_script(wrong, tmp_path, "-C").returncode == 255


def test_a_broken_script_does_not_start(tmp_path: Path) -> None:
    result = run_openserd(tmp_path, "-f", write_script(tmp_path, BROKEN), "-w", str(tmp_path))
    assert result.returncode == 255
    assert "openser.cfg:3:5: unknown function sl_send_reply" in result.stderr


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run_openserd(tmp_path, "-c", "-f", "absent.cfg")
    assert result.returncode == 255
    assert "cannot read absent.cfg: No such file or directory" in result.stderr


def test_version_and_help(tmp_path: Path) -> None:
    version = run_openserd(tmp_path, "-V")
    assert version.returncode == 0
    assert re.match(r"version: openserd \d+\.\d+\S* .*Python 3\.", version.stdout)
    usage = run_openserd(tmp_path, "-h")
    assert usage.returncode == 0
    for option in "bcCdDEfgGhlmnNPrRtTuvVwW":
        assert re.search(rf"(^|\s)-{option}\b", usage.stdout), f"-{option} is not in the help"


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    result = run_openserd(tmp_path, "-Z")
    assert result.returncode != 0 and "-Z" in result.stderr


# --- starting ----------


def test_daemonising_returns_when_the_server_answers(tmp_path: Path) -> None:
    script, port = write_script(tmp_path, GOOD.replace("log_stderror=yes", "log_stderror=no")), free_port()
    pid_file, group_file = tmp_path / "pid", tmp_path / "group"
    command = ["-f", script, "-l", f"udp:{LOOPBACK}:{port}", "-w", str(tmp_path)]
    try:
        result = run_openserd(tmp_path, *command, "-P", str(pid_file), "-G", str(group_file))
        assert result.returncode == 0, result.stderr
        master = int(pid_file.read_text())
        assert answers((LOOPBACK, port))
        process = read_process(master)
        assert process is not None
        assert process.session not in (os.getsid(0), master), "a session of its own, which it does not lead"
        assert int(group_file.read_text()) == os.getpgid(master)
        family = [master, *(child.pid for child in descendants(master))]
        assert len(family) == 4
        for pid, descriptor in itertools.product(family, (0, 1, 2)):
            assert os.readlink(f"/proc/{pid}/fd/{descriptor}") == "/dev/null", "the terminal can be closed"
        assert os.readlink(f"/proc/{master}/cwd") == str(tmp_path)
    finally:
        if pid_file.exists():
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
    wait_until(lambda: read_process(master) is None, 5.0, "the daemon ended")
    assert not pid_file.exists() and not group_file.exists()
    assert not (tmp_path / "fifo").exists()


def test_a_daemon_that_fails_behind_the_terminal_still_says_so(tmp_path: Path) -> None:
    command = ["-f", write_script(tmp_path, GOOD), "-l", f"udp:{LOOPBACK}:{free_port()}", "-w", str(tmp_path)]
    before = shared_names()
    result = run_openserd(tmp_path, *command, "-P", str(tmp_path / "absent" / "pid"))
    assert result.returncode == 255
    assert f"cannot write {tmp_path}/absent/pid: No such file or directory" in result.stderr
    assert not left_in_shm(before)


def test_a_second_start_with_the_pid_file_of_a_living_server_is_refused(tmp_path: Path) -> None:
    with Server(GOOD, tmp_path) as server:
        command = ["-f", str(server.script), "-l", f"udp:{LOOPBACK}:{free_port()}", "-w", str(tmp_path)]
        result = run_openserd(tmp_path, *command, "-P", str(server.pid_file))
        assert result.returncode == 255
        assert f"already running as process {server.pid}" in result.stderr
        assert int(server.pid_file.read_text()) == server.pid
        assert answers(server.address)
        assert server.mi("ps").code == 200, "the running server keeps its FIFO"


@pytest.mark.parametrize("socket_mode", ["reuseport", "shared"])
def test_an_occupied_port_is_refused_with_what_to_look_for(socket_mode: str, tmp_path: Path) -> None:
    with Server(hello_world(children=2, socket_mode=socket_mode), tmp_path) as server:
        command = ["-f", str(server.script), "-l", f"udp:{LOOPBACK}:{server.port}", "-w", str(tmp_path)]
        before = shared_names()
        result = run_openserd(tmp_path, *command)
        assert result.returncode == 255
        assert (
            f"cannot listen on udp:{LOOPBACK}:{server.port}: Address already in use "
            "(is another server running there?" in result.stderr
        )
        assert "Traceback" not in result.stderr
        assert not left_in_shm(before)
        assert answers(server.address)


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["-u", "no-such-user"], "there is no user 'no-such-user'"),
        (["-g", "no-such-group"], "there is no group 'no-such-group'"),
        (["-w", "/no/such/directory"], "cannot change to directory /no/such/directory"),
        (["-l", "no-such-interface"], "cannot listen on 'no-such-interface'"),
    ],
)
def test_what_keeps_a_server_from_starting_is_said(args: list[str], problem: str, tmp_path: Path) -> None:
    command = ["-f", write_script(tmp_path, GOOD), "-DD", "-E", "-w", str(tmp_path)]
    if "-l" not in args:
        command += ["-l", f"udp:{LOOPBACK}:{free_port()}"]
    result = run_openserd(tmp_path, *command, *args)
    assert result.returncode == 255, result.stderr
    assert problem in result.stderr
    assert "Traceback" not in result.stderr


# --- what runs ----------


def test_two_listeners_with_two_workers_each_carry_openser_s_titles(tmp_path: Path) -> None:
    with Server(hello_world(children=2), tmp_path, sockets=2) as server:
        first, second = (f"sock= {LOOPBACK}:{port}" for port in server.ports)
        titles = [
            f"receiver child=0 {first}",
            f"receiver child=1 {first}",
            f"receiver child=0 {second}",
            f"receiver child=1 {second}",
            "timer",
            "MI FIFO",
        ]
        told = server.processes()
        assert list(told.values()) == ["attendant", *titles]
        assert next(iter(told)) == server.pid
        for pid, title in list(told.items())[1:]:
            assert title_of(pid) == f"openserd: {title}"
        assert sorted(server.children()) == sorted(list(told)[1:])
        for port in server.ports:
            assert answers((LOOPBACK, port))


def test_an_ipv6_listener_answers(tmp_path: Path) -> None:
    port = free_port()
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", port))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with Server(hello_world(children=2), tmp_path, args=["-l", f"udp:[::1]:{port}"]) as server:
        assert f"receiver child=1 sock= ::1:{port}" in server.processes().values()
        assert all(answers(("::1", port)) for _ in range(5))
        assert answers(server.address)


def test_one_process_answers_and_stops(tmp_path: Path) -> None:
    with Server(hello_world(settings=["fork=no"]), tmp_path) as server:
        told = server.processes()
        assert list(told.values()) == [f"stand-alone receiver @ {LOOPBACK}:{server.port}", "timer", "MI FIFO"]
        assert next(iter(told)) == server.pid
        for title in ("timer", "MI FIFO"):
            dead = server.child(title)
            os.kill(dead, signal.SIGKILL)
            wait_for_successor(server, title, dead, 5.0)
        with Phone("alice", server.address) as alice:
            alice.register()
        os.kill(server.pid, signal.SIGHUP)
        assert answers(server.address)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that nobody may enter and write to."""
    folder = Path(tempfile.mkdtemp(prefix="openserd-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def ids_of(pid: int) -> tuple[set[str], set[str], str]:
    """Real and effective user ids, group ids, further groups of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    uid, gid, groups = (re.search(rf"^{name}:[ \t]*(.*)$", status, re.M) for name in ("Uid", "Gid", "Groups"))
    assert uid and gid and groups
    return set(uid[1].split()), set(gid[1].split()), groups[1].strip()


@as_root
def test_user_and_group_are_given_up_by_every_process(open_folder: Path) -> None:
    with Server(hello_world(children=1), open_folder, args=["-u", "nobody", "-g", "nogroup"], start=False) as server:
        server.run.chmod(0o777)
        server.start()
        for pid in server.processes():
            assert ids_of(pid) == ({"65534"}, {"65534"}, "")
        with Phone("alice", server.address) as alice:
            alice.register()


@as_root
def test_the_root_directory_is_changed_and_the_server_works_in_it(open_folder: Path) -> None:
    script = hello_world(children=1).replace("@FIFO@", "/fifo").replace('"reply_dir", "@RUN@/"', '"reply_dir", "/"')
    with Server(script, open_folder, args=["-u", "nobody", "-P", "/pid"], start=False) as server:
        server.run.chmod(0o777)
        server.args += ["-t", str(server.run)]
        server.has_fifo = True
        server.start()
        for pid in (server.pid, *server.children()):
            assert os.readlink(f"/proc/{pid}/root") == str(server.run)
        assert int((server.run / "pid").read_text()) == server.pid
        assert server.mi("pwd").lines == ["WD:: /"]
        with Phone("alice", server.address) as alice, Phone("bob", server.address) as bob:
            bob.register()
            invite = alice.invite("bob")
            bob.reply(bob.receive_request("INVITE"), 486)
            alice.ack_negative(invite, alice.receive_reply(invite, 486))


# --- signals ----------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("daemonize", [False, True])
def test_term_and_int_end_everything_within_5_seconds(number: signal.Signals, daemonize: bool, tmp_path: Path) -> None:
    server = Server(hello_world(children=3), tmp_path, daemonize=daemonize)
    with server:
        children = server.children()
        assert len(children) == 5
        server.stop(number)  # fails unless it is quick and nothing stays: process, FIFO, pid file, shared memory
        assert [pid for pid in children if read_process(pid)] == []
        server.start()


def test_a_worker_that_does_not_react_is_killed_in_time(tmp_path: Path) -> None:
    with Server(hello_world(children=2), tmp_path) as server:
        os.kill(server.workers()[0], signal.SIGSTOP)
        server.stop()
        assert "does not stop: killing it" in server.log
        server.start()


def test_mi_kill_ends_the_server_too(tmp_path: Path) -> None:
    server = Server(GOOD, tmp_path)
    server.start()
    try:
        assert server.mi("kill").code == 200
        wait_until(lambda: not server.is_alive(), 5.0, "the server ended")
        assert not server.fifo.exists() and not server.pid_file.exists()
    finally:
        server.kill()


def test_usr1_writes_the_status_of_the_server_to_the_log(tmp_path: Path) -> None:
    with Server(hello_world(children=2, settings=["memlog=2"]), tmp_path) as server:
        before = set(server.children())
        os.kill(server.pid, signal.SIGUSR1)
        server.wait_for_log(r"shmem:free_size = \d+")
        for row, pid, title in zip(range(5), server.processes(), TITLES, strict=True):
            server.wait_for_log(rf"process {row} pid {pid} {title}")
        worker = server.workers()[0]
        os.kill(worker, signal.SIGUSR1)
        server.wait_for_log(rf"status \[{worker}\] shmem:total_size = \d+")
        assert set(server.children()) == before


def test_hup_changes_nothing(tmp_path: Path) -> None:
    with Server(GOOD, tmp_path) as server:
        before = server.processes()
        for pid in before:
            os.kill(pid, signal.SIGHUP)
        assert answers(server.address)
        assert server.processes() == before


# --- deaths ----------


@pytest.mark.quiet
def test_a_killed_worker_is_replaced_within_a_second_and_the_server_answers_all_the_time(tmp_path: Path) -> None:
    with Server(hello_world(children=2), tmp_path) as server:
        worst = 0.0
        with Prober(server.address) as prober:
            for number in range(6):
                title = f"receiver child={number % 2}"
                dead = server.child(title)
                os.kill(dead, signal.SIGKILL)
                worst = max(worst, wait_for_successor(server, title, dead, 5.0))
                enough = len(prober.delays) + 3
                wait_until(lambda enough=enough: len(prober.delays) >= enough, 5.0, "answers go on")  # type: ignore[misc]
        print(f"replaced within {worst * 1000:.0f} ms; {prober}")
        assert worst <= 1.0
        assert prober.unanswered == []
        server.wait_for_log(r"process \d+ \(receiver child=1 .*\) died of signal 9")
        assert sorted(server.children()) == sorted(list(server.processes())[1:])


@pytest.mark.parametrize("title", ["timer", "MI FIFO"])
@pytest.mark.quiet
def test_a_killed_helper_is_replaced_and_works_again(title: str, tmp_path: Path) -> None:
    with Server(hello_world(params=['"tm", "fr_inv_timer", 1', '"tm", "fr_timer", 1']), tmp_path) as server:
        dead = server.child(title)
        os.kill(dead, signal.SIGKILL)
        assert wait_for_successor(server, title, dead, 5.0) <= 1.0
        wait_until(server.reads_fifo, 5.0, "the FIFO is back")
        wait_until(lambda: pid_of(server, title) not in (0, dead), 5.0, "ps tells the new one")
        with Phone("alice", server.address) as alice, Phone("bob", server.address) as bob:
            bob.register()
            final = alice.transact(alice.invite("bob"), timeout=10.0)
            assert final.code == 408, "a timer ran out"


@pytest.mark.quiet
def test_a_process_that_dies_at_its_start_again_and_again_is_started_once_a_second(tmp_path: Path) -> None:
    shared = hello_world(children=2, socket_mode="shared")  # what the dying worker cannot read its sibling reads
    with Server(shared, tmp_path) as server, Prober(server.address) as prober:
        births: list[float] = []
        dead, end = 0, time.monotonic() + 30.0
        while len(births) < 10 and time.monotonic() < end:
            child = server.child("receiver child=1")
            if child not in (0, dead):
                births.append(time.monotonic())
                os.kill(child, signal.SIGKILL)
                dead = child
            else:
                time.sleep(0.002)
        gaps = [later - earlier for earlier, later in itertools.pairwise(births)]
        assert len(births) == 10
        assert max(gaps[:4]) < 0.9, "the first deaths are followed at once"
        assert min(gaps[4:]) >= 0.95, "then one start a second"
        others = [server.child(title) for title in ("receiver child=0", "timer", "MI FIFO")]
        wait_until(lambda: server.child("receiver child=1") not in (0, dead), 5.0, "the last successor")
        assert set(others) <= set(server.children()), "its siblings have lived on"
    print("seconds between births:", " ".join(f"{gap:.2f}" for gap in gaps), f"; {prober}")
    assert prober.unanswered == []


def test_a_killed_master_takes_its_children_along_and_leaves_the_port_free(tmp_path: Path) -> None:
    server = Server(hello_world(children=3), tmp_path)
    server.start()
    try:
        children = [process for process in (read_process(pid) for pid in server.children()) if process]
        assert len(children) == 5
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not any(child.lives for child in children), 2.0, "the children are gone")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(server.address)
        assert not left_in_shm(server.shm_before)
        assert server.pid_file.exists(), "nobody was left to remove it"
        with Server(
            server.script.read_text(), tmp_path, port=server.port, args=["-P", str(server.pid_file)]
        ) as next_one:
            assert answers(next_one.address), "the stale pid file is no obstacle"
    finally:
        server.kill()


def test_with_exit_on_child_death_the_server_ends(tmp_path: Path) -> None:
    server = Server(hello_world(children=2, settings=["exit_on_child_death=yes"]), tmp_path)
    server.start()
    try:
        children = server.children()
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_until(lambda: not server.is_alive(), 6.0, "the master ended")
        assert server.exit_code == 1
        assert [pid for pid in children if read_process(pid)] == []
        assert not server.fifo.exists() and not server.pid_file.exists()
        assert "exit_on_child_death" in server.log
    finally:
        server.kill()


def test_the_harness_notices_a_server_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="ended while it was started"), Server(BROKEN, tmp_path):
        pass


def limit(pid: int, name: str) -> int:
    """A soft limit of a process, -1 for none."""
    line = re.search(rf"^{name} +(\S+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
    assert line
    return -1 if line[1] == "unlimited" else int(line[1])


def test_disable_core_dump_and_open_files_limit_are_those_of_every_process(tmp_path: Path) -> None:
    settings = ["disable_core_dump=yes", "open_files_limit=211"]
    with Server(hello_world(children=1, settings=settings), tmp_path) as server:
        for pid in (server.pid, *server.children()):
            assert (limit(pid, "Max core file size"), limit(pid, "Max open files")) == (0, 211)


def test_statistics_of_shared_memory_add_up(tmp_path: Path) -> None:
    with Server(GOOD, tmp_path, shm_megabytes=32) as server:
        found = {name.removeprefix("shmem:"): value for name, value in server.statistics("shmem:").items()}
    assert found.keys() == {
        "total_size", "used_size", "real_used_size", "max_used_size", "free_size", "fragments"
    }  # fmt: skip
    assert found["total_size"] == 32 * 1024 * 1024
    assert 0 < found["used_size"] <= found["real_used_size"] <= found["max_used_size"] <= found["total_size"]
    assert 0 < found["free_size"] <= found["total_size"] - found["used_size"]
    assert found["fragments"] >= 0


def test_option_n_is_the_number_of_workers_and_b_the_largest_receive_buffer(tmp_path: Path) -> None:
    with Server(GOOD, tmp_path, args=["-n", "3", "-b", "4096"]) as server:
        assert len(server.workers()) == 3


def test_option_d_makes_the_log_more_detailed(tmp_path: Path) -> None:
    script = hello_world(children=1, debug=0).replace("route {", 'route {\n    log(3, "a request is here");', 1)
    with Server(script, tmp_path) as server:
        assert "a request is here" not in server.log
    with Server(script, tmp_path, args=["-d", "-d", "-d"]) as server:
        server.wait_for_log("a request is here")
