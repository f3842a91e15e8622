"""Tables in memory over real workers: what management reads again all of them know, the one that was born since too."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support import Phone, Server
from tests.support.server import wait_until
from tests.unit.mods.cached_kit import add, make_database, run

SCRIPT = """
children=2
gather_load=no
loadmodule "sl.so"
loadmodule "mi_fifo.so"
loadmodule "sqlite.so"
loadmodule "domain.so"
loadmodule "permissions.so"
modparam("mi_fifo", "fifo_name", "@FIFO@")
modparam("mi_fifo", "reply_dir", "@RUN@/")
modparam("domain", "db_url", "sqlite://{path}")
modparam("domain", "db_mode", 1)
modparam("permissions", "db_url", "sqlite://{path}")
modparam("permissions", "db_mode", 1)
route {{
    if (is_uri_host_local()) {{ setflag(1); }}
    if (allow_trusted()) {{ setflag(2); }}
    if (allow_source_address("1")) {{ setflag(3); }}
    if (isflagset(1) && isflagset(2) && isflagset(3)) {{ sl_send_reply("200", "$pp"); exit; }}
    if (isflagset(1) || isflagset(2) || isflagset(3)) {{ sl_send_reply("500", "$pp"); exit; }}
    sl_send_reply("404", "$pp");
}}
"""
URI = "sip:biloxi.example"
N_PHONES = 16
RELOADS = ("domain_reload", "trusted_reload", "address_reload")


@contextmanager
def phones(server: Server) -> Iterator[list[Phone]]:
    """Phones enough to reach every worker."""
    with ExitStack() as stack:
        yield [stack.enter_context(Phone(f"phone{n}", server.address)) for n in range(N_PHONES)]


def answers(phones: list[Phone]) -> dict[str, set[int]]:
    """What each worker answers, by its pid."""
    found: dict[str, set[int]] = {}
    for phone in phones:
        reply = phone.transact(phone.request("OPTIONS", URI))  # one that a dying worker has read is sent again
        found.setdefault(reply.reason, set()).add(reply.code)
    return found


def fill(path: Path) -> None:
    """A row for each of the script's questions."""
    add(path, "domain", domain="biloxi.example")
    add(path, "trusted", src_ip="127.0.0.1", proto="udp")
    add(path, "address", grp=1, ip_addr="127.0.0.0", mask=8, port=0)


def reload(server: Server) -> None:
    """Has all tables read again."""
    for command in RELOADS:
        assert server.mi(command).code == 200


def test_what_is_read_again_every_worker_knows(tmp_path: Path) -> None:
    path = make_database(tmp_path / "openser.db", "domain", "trusted", "address")
    with Server(SCRIPT.format(path=path), tmp_path) as server, phones(server) as callers:
        before = answers(callers)
        assert len(before) == 2 and set.union(*before.values()) == {404}
        fill(path)
        reload(server)
        assert answers(callers) == {pid: {200} for pid in before}
        assert [node.value for node in server.mi("domain_dump").nodes()] == ["biloxi.example"]

        os.kill(int(next(iter(before))), signal.SIGKILL)
        wait_until(lambda: len(answers(callers).keys() - before.keys()) == 1, 10.0, "a new worker")
        assert set.union(*answers(callers).values()) == {200}

        for table in ("domain", "trusted", "address"):
            run(path, f"DELETE FROM {table}")
        reload(server)
        assert set.union(*answers(callers).values()) == {404}


def test_tables_that_come_after_the_start_are_read_without_being_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "late.db"
    with Server(SCRIPT.format(path=path), tmp_path) as server, phones(server) as callers:
        assert set.union(*answers(callers).values()) == {404}
        assert server.log.count("table domain will be read when the database is there") == 1
        make_database(tmp_path / "new.db", "domain", "trusted", "address")
        fill(tmp_path / "new.db")
        (tmp_path / "new.db").rename(path)
        wait_until(lambda: set.union(*answers(callers).values()) == {200}, 20.0, "the tables were read", step=0.2)
        assert server.log.count("is lost") == 1
