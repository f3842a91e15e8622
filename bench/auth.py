#!/usr/bin/env python3
"""What digest authentication costs: CPU microseconds of a REGISTER that is challenged, and of its repetition that is
accepted and saved.

    .venv/bin/python bench/auth.py [rounds]

Each message is parsed from its datagram, runs what a script does with it (www_authorize, then www_challenge or save)
and is answered; the reply goes nowhere.  `plain` is the accepted REGISTER without authentication.  Credentials come
from a dict, as in a server that keeps them in memory, or from an SQLite file.  Figures are medians of many rounds.
"""

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import md5
from typing import Any

from openserd.core.context import Core
from openserd.core.database.values import Row
from openserd.core.message import SipMsg
from openserd.core.network.transport import Address, Listener
from openserd.mods.auth import Auth
from openserd.mods.auth_db import AuthDb
from openserd.mods.registrar import Registrar
from openserd.mods.sl import Sl
from openserd.mods.sqlite import Sqlite
from openserd.mods.usrloc import UsrLoc
from openserd.shm.memory import SharedMemory

N_USERS = 200
REALM = "example.com"
SOURCE = ("192.0.2.10", 5060)
REGISTER = (
    "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{cseq};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:user{n}@example.com>;tag=a{n}\r\nTo: <sip:user{n}@example.com>\r\n"
    "Call-ID: 3c26700c1adb-{n:06}@192.168.100.10\r\nCSeq: {cseq} REGISTER\r\n"
    "Contact: <sip:user{n}@192.168.100.10:5060;line=a1b2c3>\r\n{credentials}Expires: 3600\r\n"
    "User-Agent: Example phone 1.0 (build 2008)\r\nContent-Length: 0\r\n\r\n"
)


class Sink(Listener):
    """Keeps the last message."""

    last = b""

    def send(self, data: bytes, destination: Address) -> bool:
        self.last = data
        return True


class Passwords:
    """Stands for a database: HA1 of every user in a dict."""

    def __init__(self) -> None:
        self.known = {b"user%d" % n: (ha1(n).encode(), None) for n in range(N_USERS)}

    def row(self, table: str, columns: list[str], where: list[Any]) -> Row | None:
        """The row of one user."""
        return self.known.get(where[0].value)


def ha1(number: int) -> str:
    """HA1 of a user."""
    return hashed(f"user{number}", REALM, "secret")


def hashed(*parts: str) -> str:
    """MD5 of parts with colons between them."""
    return md5(":".join(parts).encode()).hexdigest()


class Site:
    """A registrar that asks for credentials."""

    def __init__(self, folder: str, one_time: int, has_table: bool) -> None:
        self.core = core = Core()
        core.shared = SharedMemory(64, 1)
        self.listener = Sink("udp", "192.0.2.1", 5060)
        core.listening.add(self.listener)
        self.auth = Auth(one_time_nonce=one_time)
        self.db = AuthDb(db_url=f"sqlite://{folder}/openser.db")
        self.registrar = Registrar()
        for module in (Sl(), Sqlite(), UsrLoc(), self.registrar, self.auth, self.db):
            module.core = core
            module.on_init(core)
        if not has_table:
            self.db.reader = Passwords()  # type: ignore[assignment]
        self.registrar.fix_domain("location")
        core.statistics.share(core.memory.counters)
        core.memory.seal()
        self.cseq = 1

    def receive(self, data: bytes, checks: bool) -> SipMsg:
        """What the server does with one REGISTER."""
        msg = SipMsg(data, SOURCE, self.listener)
        msg.validate_request()
        if checks and self.db.www_authorize(msg, REALM.encode(), "subscriber") < 0:
            self.auth.www_challenge(msg, REALM.encode(), 1)
        else:
            self.registrar.save(msg, b"location")
        return msg

    def data(self, number: int, credentials: str = "") -> bytes:
        """A REGISTER later than all before."""
        self.cseq += 1
        return REGISTER.format(n=number, cseq=self.cseq, credentials=credentials).encode()

    def answers(self) -> Iterator[bytes]:
        """REGISTERs with credentials for fresh challenges."""
        ha2 = hashed("REGISTER", "sip:example.com")
        for number in range(N_USERS):
            self.receive(self.data(number), True)
            nonce = self.listener.last.partition(b'nonce="')[2].partition(b'"')[0].decode()
            response = hashed(ha1(number), nonce, "00000001", "0a4f113b", "auth", ha2)
            yield self.data(
                number,
                f'Authorization: Digest username="user{number}", realm="{REALM}", nonce="{nonce}", '
                f'uri="sip:example.com", response="{response}", algorithm=MD5, cnonce="0a4f113b", qop=auth, '
                "nc=00000001\r\n",
            )


def cpu_us(work: Callable[[bytes], object], messages: list[bytes]) -> float:
    """CPU microseconds of one message."""
    begin = time.process_time()
    for data in messages:
        work(data)
    return (time.process_time() - begin) * 1e6 / len(messages)


def round_us(site: Site) -> tuple[float, float, float]:
    """One round over all users: not checked, challenged, accepted."""
    plain = cpu_us(lambda data: site.receive(data, False), [site.data(n) for n in range(N_USERS)])
    challenged = cpu_us(lambda data: site.receive(data, True), [site.data(n) for n in range(N_USERS)])
    accepted = cpu_us(lambda data: site.receive(data, True), list(site.answers()))
    assert site.listener.last.startswith(b"SIP/2.0 200 "), site.listener.last
    return plain, challenged, accepted


def make_table(folder: str) -> None:
    """The table of subscribers."""
    with sqlite3.connect(os.path.join(folder, "openser.db")) as table:
        table.execute("CREATE TABLE version (table_name VARCHAR(32), table_version INTEGER)")
        table.execute("INSERT INTO version VALUES ('subscriber', 6)")
        table.execute("CREATE TABLE subscriber (username VARCHAR(64) PRIMARY KEY, ha1 VARCHAR(64), rpid VARCHAR(64))")
        table.executemany("INSERT INTO subscriber VALUES (?, ?, NULL)", [(f"user{n}", ha1(n)) for n in range(N_USERS)])


def main() -> None:
    """Prints one line for each kind of server."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as folder:
        make_table(folder)
        kinds = {
            "in memory": Site(folder, 0, False),
            "in memory, one_time_nonce": Site(folder, 1, False),
            "SQLite": Site(folder, 0, True),
        }
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in kinds}
        for _ in range(rounds):
            for name, site in kinds.items():
                found[name].append(round_us(site))
        print(f"{'us a REGISTER':<28} {'plain':>8} {'challenged':>11} {'accepted':>9} {'pair':>8}")
        for name, times in found.items():
            plain, challenged, accepted = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"{name:<28} {plain:8.1f} {challenged:11.1f} {accepted:9.1f} {challenged + accepted:8.1f}")
        for site in kinds.values():
            site.core.memory.close()


if __name__ == "__main__":
    main()
