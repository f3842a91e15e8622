"""One script, ready to be tested: messages in, results out, time moved by hand."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from openserd.core.context import Core
from openserd.core.log import logger, python_level
from openserd.core.management.mi import Reply
from openserd.core.message import SipMsg
from openserd.core.network.transport import DEFAULT_PORT, Listener
from openserd.core.params import GlobalParams
from openserd.core.receive import Receiver
from openserd.parser.message import Message
from openserd.script.compiler.functions import Environment
from openserd.script.variables.compile import compile_variable
from openserd.script.variables.named import SCRIPT_VARIABLES
from openserd.server.assembly import read_text
from openserd.testing.clock import Clock
from openserd.testing.messages import (
    MAKES_DIALOG,
    Fields,
    Headers,
    address,
    as_datagram,
    cancel_of,
    reply_to,
    within_dialog,
)
from openserd.testing.places import address_of, contact_source, endpoint
from openserd.testing.result import LogLine, Result
from openserd.testing.sent import Sent, Wire
from openserd.testing.start import NoNetwork, Setup, start_server

CALLER: Final = "192.0.2.10:5060"
START: Final = 1_767_225_600.0  #: 1 January 2026, 00:00 UTC


class ObservedReceiver(Receiver):
    """Keeps hold of the message that it handles."""

    message: SipMsg | None = None

    def receive_request(self, msg: SipMsg) -> None:
        """Handles a request."""
        self.message = msg
        super().receive_request(msg)

    def receive_reply(self, msg: SipMsg) -> None:
        """Handles a reply."""
        self.message = msg
        super().receive_reply(msg)


class LogKeeper(logging.Handler):
    """Puts log lines into the result at hand."""

    def __init__(self, lines: list[LogLine]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one line."""
        self.lines.append(LogLine(record.getMessage(), record.levelname))


class Task:
    """Periodic work of a module: when it is next due, every how many seconds, what it is."""

    def __init__(self, now: float, interval: float, run: Callable[[], None]) -> None:
        self.due = now + interval
        self.interval = interval
        self.run = run


class Script:
    """A script with a server around it that has no sockets, one process, and a clock that stands still.

    `hosts` are the names that can be resolved, `unreachable` the addresses (`host:port`) that the system refuses to
    send to; both may be changed at any time.  `domain` is what the script's users are in: its first alias, or its
    address.
    """

    def __init__(self, core: Core, clock: Clock, hosts: dict[str, str], wire: Wire, warnings: list[str]) -> None:
        self.core = core
        self.hosts = hosts
        self.unreachable = wire.unreachable
        self.warnings = warnings
        self._clock = clock
        self._wire = wire
        self._receiver = ObservedReceiver(core)
        self._variables = dict(SCRIPT_VARIABLES)
        self._environment = Environment(core, list(core.modules.values()))
        self._level = python_level(core.params.debug)
        self._numbers = 0
        self._tasks = [Task(clock.monotonic(), interval, run) for _, interval, run in core.timers]

    # -- making one -----------------------------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        listen: Iterable[str] = (),
        hosts: Mapping[str, str] | None = None,
        debug: int | None = None,
        definitions: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        start: float = START,
    ) -> "Script":
        """The script in a file; the rest as of `text`. Raises ConfigErrors with everything that is wrong."""
        return cls.text(
            read_text(str(path)),
            file=str(path),
            listen=listen,
            hosts=hosts,
            debug=debug,
            definitions=definitions,
            environment=environment,
            start=start,
        )

    @classmethod
    def text(
        cls,
        text: str,
        modules: Iterable[str] = (),
        *,
        file: str = "openser.cfg",
        listen: Iterable[str] = (),
        hosts: Mapping[str, str] | None = None,
        debug: int | None = None,
        definitions: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        start: float = START,
    ) -> "Script":
        """The script that `text` is, with `modules` loaded before it.

        `listen` and `debug` take the place of the script's own and `definitions` add to them, as on the command line;
        `hosts` gives names their addresses; `start` is the time, in seconds since 1970.  Raises ConfigErrors with
        everything that is wrong.
        """
        core, clock, wire = Core(GlobalParams()), Clock(start), Wire()
        if listen:
            core.params.override("listen", *listen)
        if debug is not None:
            core.params.override("debug", debug)
        names = dict(hosts or {})
        core.resolver = NoNetwork(names)
        loads = " ".join(f'loadmodule "{name}.so"' for name in modules)
        SCRIPT_VARIABLES.clear()
        with clock.running():
            setup = Setup(definitions or {}, environment or {})
            warnings = start_server(core, f"{loads} {text}" if loads else text, file, setup, wire)
            return cls(core, clock, names, wire, warnings)

    def close(self) -> None:
        """Gives the shared memory back; the script cannot be used any more."""
        if self.core.shared is not None:
            for module in self.core.modules.values():
                module.on_exit()
            self.core.shared.close()
            self.core.shared = None

    def __enter__(self) -> "Script":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- messages in ----------------------------------------------------------------------------------------

    def request(
        self,
        line: str,
        *,
        source: str = CALLER,
        from_: str = "",
        to: str = "",
        to_tag: str = "",
        call_id: str = "",
        cseq: int = 1,
        headers: Headers | None = None,
        body: str = "",
        listener: str = "",
    ) -> Result:
        """A request, such as "INVITE sip:bob@example.com", as a phone at `source` sends it.

        What a request needs is added: a new Via branch, From (alice of the script's domain), To (the request URI),
        Call-ID, CSeq, Contact where it makes a dialog.  `headers` adds fields and changes those; with None for a value
        it leaves one out.
        """
        method, _, rest = line.partition(" ")
        uri = rest.removesuffix(" SIP/2.0")
        number = self._number()
        fields = Fields()
        fields.add("Via", self._via(source))
        fields.add("Max-Forwards", "70")
        fields.add("From", f"{address(from_ or f'sip:alice@{self.domain}')};tag=caller{number}")
        fields.add("To", address(to or uri) + (f";tag={to_tag}" if to_tag else ""))
        fields.add("Call-ID", call_id or f"call-{number}@{source.rpartition(':')[0]}")
        fields.add("CSeq", f"{cseq} {method}")
        if method in MAKES_DIALOG:
            fields.add("Contact", f"<sip:alice@{source}>")
        fields.merge(headers)
        return self.receive(fields.message(f"{method} {uri} SIP/2.0", body), source=source, listener=listener)

    def register(
        self,
        user: str,
        contact: str | None = "",
        *,
        expires: int = 3600,
        source: str = "",
        headers: Headers | None = None,
    ) -> Result:
        """A REGISTER of `user` (of the script's domain where it names none) for `contact`.

        Without `source` it comes from the contact's host; None for `contact` asks for the bindings there are.
        """
        aor = user if ":" in user else f"sip:{user}" if "@" in user else f"sip:{user}@{self.domain}"
        source = source or contact_source(contact) or CALLER
        wanted: dict[str, str | Iterable[str] | None] = {}
        if contact is not None:
            uri = contact or f"sip:{aor.partition(':')[2].partition('@')[0]}@{source}"
            wanted = {"Contact": address(uri), "Expires": str(expires)}
        wanted |= headers or {}
        return self.request(f"REGISTER sip:{self.domain}", source=source, from_=aor, to=aor, headers=wanted)

    def reply(
        self,
        request: Sent,
        status: int,
        reason: str = "",
        *,
        headers: Headers | None = None,
        body: str = "",
        source: str = "",
    ) -> Result:
        """The reply to a request that the server has sent, from where it was sent to."""
        source = source or request.next_hop
        contact = f"sip:callee@{source}"
        data = reply_to(request.message, status, reason, headers, body, contact)
        return self.receive(data, source=source, listener=request.listener)

    def ack(self, invite: Result, answer: Sent, *, headers: Headers | None = None) -> Result:
        """The caller's ACK for the final `answer` to its `invite`."""
        if answer.status < 300:
            return self.within(invite, answer, "ACK", cseq=0, headers=headers)
        request = Message(invite.received)
        return self.receive(cancel_of(request, "ACK", answer.header("To") or ""), source=invite.source)

    def cancel(self, invite: Result) -> Result:
        """The caller's CANCEL of its `invite`."""
        return self.receive(cancel_of(Message(invite.received)), source=invite.source)

    def within(
        self,
        invite: Result,
        answer: Sent,
        method: str,
        *,
        cseq: int = 1,
        headers: Headers | None = None,
        body: str = "",
    ) -> Result:
        """A later request of the caller in the dialog that `invite` and its positive `answer` have made, `cseq` behind
        the INVITE."""
        request = Message(invite.received)
        number = request.cseq.number + cseq
        via = self._via(invite.source)
        data = within_dialog(request, answer.message, method, number, via, headers, body)
        return self.receive(data, source=invite.source)

    def repeat(self, earlier: Result) -> Result:
        """The same datagram again, as a retransmission."""
        return self.receive(earlier.received, source=earlier.source)

    def receive(self, message: str | bytes, *, source: str = CALLER, listener: str = "") -> Result:
        """A whole message as it is: bytes, or text with plain line ends; `listener` is the address it arrives at."""
        data = as_datagram(message)
        result = Result(data, source)
        with self._running(result):
            self._receiver.message = None
            try:
                self._receiver.receive(data, address_of(source), self._listener(listener))
            finally:
                result.message = self._receiver.message
        return result

    # -- time, management -----------------------------------------------------------------------------------

    def advance(self, seconds: float) -> Result:
        """Lets time pass: timers run out, what they send is in the result."""
        result = Result()
        with self._running(result):
            end = self._clock.monotonic() + seconds
            while self._tasks:
                task = min(self._tasks, key=lambda one: one.due)
                if task.due > end:
                    break
                self._clock.elapsed += max(0.0, task.due - self._clock.monotonic())
                task.due += task.interval
                task.run()
            self._clock.elapsed += max(0.0, end - self._clock.monotonic())
        return result

    def mi(self, command: str, *arguments: str) -> Reply:
        """What a management command answers. AssertionError where there is no such command."""
        found = self.core.mi.find(command)
        assert found is not None, f"there is no management command {command}"
        with self._running(Result()):
            return found.call(list(arguments))

    def statistic(self, name: str) -> int:
        """The value of a statistic, `group:name` or a name alone. AssertionError where there is none."""
        found = next(self.core.statistics.select(name), None)
        assert found is not None, f"there is no statistic {name}"
        return found.value()

    @property
    def domain(self) -> str:
        """The domain of the script's users: its first alias, else its address."""
        alias = next(iter(self.core.params.alias), None)
        if alias is not None:
            return alias.host
        host, port = self.core.listeners[0].address
        return host if port == DEFAULT_PORT["udp"] else endpoint((host, port))

    # -- inside ---------------------------------------------------------------------------------------------

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _via(self, source: str) -> str:
        return f"SIP/2.0/UDP {source};branch=z9hG4bKtest{self._number()}"

    def _listener(self, text: str) -> Listener:
        listeners: list[Listener] = self.core.listeners
        found = next((one for one in listeners if text in ("", str(one), endpoint(one.address), one.host)), None)
        assert found is not None, f"the script does not listen on {text}"
        return found

    @contextmanager
    def _running(self, result: Result) -> Iterator[None]:
        """The server at work for `result`: its time, its log, its outbox."""
        keeper = LogKeeper(result.log)
        before = logger.level
        logger.addHandler(keeper)
        logger.setLevel(self._level)
        self._wire.sent.clear()
        result.evaluate = self._evaluate
        try:
            with self._clock.running():
                yield
        finally:
            result.sent = list(self._wire.sent)
            self._level = logger.level
            logger.setLevel(before)
            logger.removeHandler(keeper)

    def _evaluate(self, text: str, msg: SipMsg) -> bytes | int | None:
        SCRIPT_VARIABLES.clear()
        SCRIPT_VARIABLES.update(self._variables)
        with self._clock.running():
            return compile_variable(text, self._environment).get(msg)
