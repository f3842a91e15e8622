"""A small server without processes and sockets: shared memory, usrloc, registrar, a clock that stands still.

site = Site(registrar={"max_contacts": 2})
reply = site.register(contacts=["<sip:alice@192.0.2.10>"])
assert reply.status == 200
"""

from collections.abc import Sequence

from openserd.core.context import Core
from openserd.core.management.statistics import Statistic
from openserd.core.message import SipMsg
from openserd.core.network.transport import Address, Listener
from openserd.core.reply import send_reply
from openserd.mods.registrar import Registrar
from openserd.mods.sqlite import Sqlite
from openserd.mods.usrloc import UsrLoc
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory

NOW = 1_200_000_000
PHONE = ("192.0.2.10", 5060)
CALL_ID = "843817637684230@998sdasdh09"


class RecordingListener(Listener):
    """Keeps what is sent and which connections are to be kept; `works` False refuses to send."""

    def __init__(self, host: str = "192.0.2.1", port: int = 5060, proto: str = "udp") -> None:
        super().__init__(proto, host, port)
        self.sent: list[tuple[bytes, Address]] = []
        self.kept: list[tuple[Address, int]] = []
        self.works = True

    def send(self, data: bytes, destination: Address) -> bool:
        self.sent.append((data, destination))
        return self.works

    def keep(self, destination: Address, seconds: int) -> None:
        self.kept.append((destination, seconds))


class Replies:
    """What registrar asks of sl."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def reply(self, msg: SipMsg, code: int, reason: bytes) -> bool:
        return send_reply(self.core, msg, code, reason, b"kit")


class Clock:
    """Seconds since 1970 that only move when told to."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Site:
    """One server with the table `location`."""

    def __init__(
        self,
        registrar: dict[str, int | str] | None = None,
        usrloc: dict[str, int | str] | None = None,
        *,
        megabytes: int = 2,
        n_processes: int = 1,
        listeners: Sequence[RecordingListener] = (),
    ) -> None:
        self.core = Core()
        self.core.shared = SharedMemory(megabytes, n_processes)
        self.listener = listeners[0] if listeners else RecordingListener()
        for listener in listeners or (self.listener,):
            self.core.listening.add(listener)
        self.core.publish("sl", Replies(self.core))
        Sqlite().on_init(self.core)
        self.clock = Clock()
        self.usrloc = UsrLoc(**{"max_aors": 1000, **(usrloc or {})})
        self.usrloc.clock = self.clock  # type: ignore[method-assign]
        self.usrloc.on_init(self.core)
        self.registrar = Registrar(**(registrar or {}))
        self.registrar.on_init(self.core)
        self.table = self.registrar.fix_domain("location")
        self.location = self.usrloc.location
        self.cseq = 0

    def close(self) -> None:
        self.core.memory.close()

    def message(self, data: bytes) -> SipMsg:
        """A message that arrives now."""
        msg = SipMsg(data, PHONE, self.listener)
        msg.clock = float(self.clock.now)
        return msg

    def register(
        self,
        contacts: Sequence[str] = (),
        *,
        to: str = "sip:alice@example.com",
        cseq: int | None = None,
        call_id: str = CALL_ID,
        headers: Sequence[str] = (),
        flags: int = 0,
        result: int | None = None,
    ) -> Message:
        """The reply to a REGISTER; each contact is a line of its own. CSeq counts up unless given."""
        self.cseq = self.cseq + 1 if cseq is None else cseq
        msg = self.message(register(contacts, to=to, cseq=self.cseq, call_id=call_id, headers=headers))
        return self.save(msg, flags, result)

    def save(self, msg: SipMsg, flags: int = 0, result: int | None = None) -> Message:
        """The reply to a REGISTER made by the caller; `result` is what save() has to return."""
        n_sent = len(self.listener.sent)
        returned = self.registrar.save(msg, self.table, flags)
        assert len(self.listener.sent) == n_sent + 1
        reply = Message(self.listener.sent[-1][0])
        assert returned == (result if result is not None else int(reply.status == 200))
        return reply

    def uris(self, aor: bytes = b"alice") -> list[bytes]:
        """The valid contacts of an AoR in their order."""
        bindings = self.location.get(self.table, aor)
        return [binding.uri for binding in bindings if binding.is_valid(self.clock.now)]

    def request(self, method: str = "INVITE", ruri: str = "sip:alice@example.com") -> SipMsg:
        """A request to a user."""
        return self.message(
            f"{method} {ruri} SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKnashds7\r\nMax-Forwards: 70\r\n"
            f"From: <sip:bob@example.com>;tag=1\r\nTo: <{ruri}>\r\nCall-ID: call\r\nCSeq: 1 {method}\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )

    def statistic(self, name: str, group: str = "usrloc") -> int:
        """The value of a statistic as MI would show it."""
        found = list(self.core.statistics.select(f"{group}:{name}"))
        return found[0].value()


def register(
    contacts: Sequence[str] = (),
    *,
    to: str = "sip:alice@example.com",
    cseq: int = 1,
    call_id: str = CALL_ID,
    headers: Sequence[str] = (),
) -> bytes:
    """A REGISTER as bytes."""
    lines = [
        "REGISTER sip:example.com SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnashds7",
        "Max-Forwards: 70",
        f"From: <{to}>;tag=456248",
        f"To: <{to}>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        *(f"Contact: {contact}" for contact in contacts),
        *headers,
        "Content-Length: 0",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def statistic_of(site: Site, statistic: Statistic) -> int:
    """The value of a statistic that a module has declared."""
    site.core.statistics.add(statistic)
    return site.statistic(statistic.name, statistic.group)
