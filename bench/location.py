#!/usr/bin/env python3
"""What the location store costs: microseconds of a REGISTER that refreshes and of a lookup, by number of contacts.

    .venv/bin/python bench/location.py [rounds]

The message is parsed before the clock starts; the reply is built and handed to a listener that keeps nothing.  The
third column is the store alone: read, change and write one AoR.  Each figure is the median of many rounds, each over
1000 AoRs picked all over the table.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable

from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.network.transport import Address, Listener
from openserd.core.reply import send_reply
from openserd.mods.registrar import Registrar
from openserd.mods.usrloc import UsrLoc
from openserd.shm.memory import SharedMemory
from openserd.shm.table import SLOT_WORDS

SOURCE = ("192.0.2.10", 5060)
TABLE = b"location"
SIZES = (1000, 100_000)
PICKED = 1000
REGISTER = (
    "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{cseq};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:user{n}@example.com>;tag=a{n}\r\nTo: <sip:user{n}@example.com>\r\n"
    "Call-ID: 3c26700c1adb-{n:06}@192.168.100.10\r\nCSeq: {cseq} REGISTER\r\n"
    "Contact: <sip:user{n}@192.168.100.10:5060;line=a1b2c3>\r\nExpires: 3600\r\n"
    "User-Agent: Example phone 1.0 (build 2008)\r\nContent-Length: 0\r\n\r\n"
)
INVITE = (
    "INVITE sip:user{n}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{cseq};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:user{n}@example.com>\r\n"
    "Call-ID: {n}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)


class Sink(Listener):
    """Sends nowhere."""

    def send(self, data: bytes, destination: Address) -> bool:
        return True


class Replies:
    """Stands for sl."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def reply(self, msg: SipMsg, code: int, reason: bytes) -> bool:
        """Builds the reply and forgets it."""
        return send_reply(self.core, msg, code, reason, b"tag")


class Site:
    """A registrar with `n_contacts` phones, one to an AoR."""

    def __init__(self, n_contacts: int) -> None:
        core = Core()
        core.shared = SharedMemory(64, 1)
        self.listener = Sink("udp", "192.0.2.1", 5060)
        core.listening.add(self.listener)
        core.publish("sl", Replies(core))
        usrloc = UsrLoc()
        usrloc.on_init(core)
        self.registrar = Registrar()
        self.registrar.on_init(core)
        self.registrar.fix_domain("location")
        core.statistics.share(core.memory.counters)
        core.memory.seal()
        self.core = core
        self.location = usrloc.location
        self.n_contacts = n_contacts
        self.cseq = 1
        for number in range(n_contacts):
            self.registrar.save(self.message(REGISTER, number), TABLE)

    def message(self, form: str, number: int) -> SipMsg:
        """A message of user `number`, read as far as it is before the script runs."""
        data = form.format(n=number, cseq=self.cseq).encode()
        msg = SipMsg(data, SOURCE, self.listener)
        msg.validate_request()
        return msg

    def messages(self, form: str) -> list[SipMsg]:
        """Messages of users all over the table, later than all before."""
        self.cseq += 1
        return [self.message(form, number) for number in random.sample(range(self.n_contacts), PICKED)]

    def touch(self, msg: SipMsg) -> object:
        """The store alone, with a change that makes one field anew."""
        aor = self.registrar.aors.of(msg, msg.to.uri)

        def change(bindings: list, now: int) -> list:  # type: ignore[type-arg]
            first = bindings[0]
            return [type(first).unpack(first.pack())]

        return self.location.update(TABLE, aor, 1, change)


def round_us(work: Callable[[SipMsg], object], messages: list[SipMsg]) -> float:
    """Microseconds of one call, over all messages."""
    begin = time.process_time()
    for msg in messages:
        work(msg)
    return (time.process_time() - begin) * 1e6 / len(messages)


def works_of(site: Site) -> list[tuple[str, Callable[[SipMsg], object]]]:
    """What is measured: save, lookup, the store alone."""
    return [
        (REGISTER, lambda msg: site.registrar.save(msg, TABLE)),
        (INVITE, lambda msg: site.registrar.lookup(msg, TABLE)),
        (REGISTER, site.touch),
    ]


def measure(sites: list[Site], rounds: int) -> list[list[float]]:
    """Medians for each site; the sites take turns, so that a busy machine is busy for all of them."""
    works = [works_of(site) for site in sites]
    times: list[list[list[float]]] = [[[] for _ in kinds] for kinds in works]
    for _ in range(rounds):
        for site, kinds, found in zip(sites, works, times, strict=True):
            for (form, work), taken in zip(kinds, found, strict=True):
                taken.append(round_us(work, site.messages(form)))
    return [[statistics.median(taken) for taken in found] for found in times]


def bytes_per_aor(site: Site) -> float:
    """Shared memory of one AoR: its blob, its slot and its share of the buckets."""
    n_buckets = site.location.n_buckets * 4 / site.location.table.n_slots
    return site.core.memory.blobs.used_bytes / site.n_contacts + SLOT_WORDS * 4 + n_buckets


def main() -> None:
    """Prints one line for each size, then how the largest compares with the smallest."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    sites = [Site(n_contacts) for n_contacts in SIZES]
    found = measure(sites, rounds)
    print(f"{'contacts':>9} {'save us':>9} {'lookup us':>10} {'store us':>9} {'bytes/AoR':>10}")
    for site, (save, lookup, store) in zip(sites, found, strict=True):
        print(f"{site.n_contacts:9} {save:9.2f} {lookup:10.2f} {store:9.2f} {bytes_per_aor(site):10.0f}")
    ratios = [last / first for first, last in zip(found[0], found[-1], strict=True)]
    print(f"{'ratio':>9} {ratios[0]:9.2f} {ratios[1]:10.2f} {ratios[2]:9.2f}")
    for site in sites:
        site.core.memory.close()


if __name__ == "__main__":
    main()
