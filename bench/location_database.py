#!/usr/bin/env python3
"""What the location store costs with a database: reading it at the start, a REGISTER, writing back, the end.

    .venv/bin/python bench/location_database.py [contacts]

For sqlite and, where it is installed, a MariaDB of this program's own.  Seconds are by the clock; microseconds too, as
what the database takes counts.  The shared memory of a contact is that of `bench/location.py`.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from location import SOURCE, TABLE, REGISTER, Replies, Sink  # noqa: E402, I001

from openserd.core.context import Core  # noqa: E402
from openserd.core.message import SipMsg  # noqa: E402
from openserd.mods.registrar import Registrar  # noqa: E402
from openserd.mods.usrloc import UsrLoc  # noqa: E402
from openserd.server.loader import ModuleLoader  # noqa: E402
from openserd.shm.memory import SharedMemory  # noqa: E402
from tests.support.databases import MariaDb  # noqa: E402

MEGABYTES = 128
N_REGISTERS = 1000


class Site:
    """A registrar over a database."""

    def __init__(self, url: str, db_mode: int) -> None:
        core = self.core = Core()
        core.shared = SharedMemory(MEGABYTES, 1)
        self.listener = Sink("udp", "192.0.2.1", 5060)
        core.listening.add(self.listener)
        core.publish("sl", Replies(core))
        ModuleLoader().load(url.partition(":")[0])().on_init(core)
        self.usrloc = UsrLoc(db_mode=db_mode, db_url=url)
        self.usrloc.on_init(core)
        self.registrar = Registrar()
        self.registrar.on_init(core)
        self.registrar.fix_domain("location")
        self.start_seconds = seconds(lambda: self.usrloc.on_ready(core))

    def register(self, first: int, n: int, cseq: int) -> float:
        """Microseconds of one REGISTER, over those of n users."""
        messages = [self.message(number, cseq) for number in range(first, first + n)]
        return seconds(lambda: [self.registrar.save(msg, TABLE) for msg in messages]) * 1e6 / n

    def message(self, number: int, cseq: int) -> SipMsg:
        """A REGISTER, read as far as it is before the script runs."""
        msg = SipMsg(REGISTER.format(n=number, cseq=cseq).encode(), SOURCE, self.listener)
        msg.validate_request()
        return msg

    def get(self, number: int) -> object:
        """The contacts of one user."""
        return self.usrloc.location.get(TABLE, b"user%d" % number)

    def close(self) -> None:
        """Gives everything back."""
        if self.usrloc.database is not None:
            self.usrloc.database.close()
        self.core.memory.close()


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def create(url: str) -> None:
    """Makes OpenSER's tables."""
    command = [sys.executable, "-m", "openserd.ctl.database", "--url", url, "create"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def measure(name: str, url: str, n_contacts: int) -> None:
    """Prints the figures of one database."""
    site = Site(url, 2)
    site.register(0, n_contacts, 1)
    first = seconds(site.usrloc.expire)
    site.register(0, n_contacts, 2)
    again = seconds(site.usrloc.expire)
    site.close()
    site = Site(url, 1)
    start = site.start_seconds
    through = site.register(0, N_REGISTERS, 3)
    site.close()
    site = Site(url, 3)
    only = site.register(0, N_REGISTERS, 4)
    found = seconds(lambda: [site.get(number) for number in range(N_REGISTERS)]) * 1e6 / N_REGISTERS
    site.close()
    print(f"{name:>8} {start:8.2f} {first:10.2f} {again:10.2f} {through:12.0f} {only:10.0f} {found:10.0f}", flush=True)


def main() -> None:
    """Prints one line for each database."""
    n_contacts = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{n_contacts} contacts; start, first write and rewrite in s; REGISTER and lookup in us")
    print(f"{'':>8} {'start':>8} {'write new':>10} {'write old':>10} {'mode 1 save':>12} {'mode 3':>10} {'get':>10}")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        urls = {"sqlite": f"sqlite://{folder}/openser.db"}
        if MariaDb.installed():
            server = stack.enter_context(MariaDb())
            create(server.root_url("openser"))
            urls["mariadb"] = server.url("openser")
        create(urls["sqlite"])
        for name, url in urls.items():
            measure(name, url, n_contacts)


if __name__ == "__main__":
    main()
