"""t_write_req and t_write_unix: a request as twenty lines of text for another program (OpenSER: t_fifo.c).

    0.3                      version
    sip_request.ACTION
    method, user and host of the request URI, address and port it came in by ("." for 5060)
    request URI, URI for later requests, From, To, Call-ID, From tag, To tag, CSeq number, SLOT:LABEL
    Route for later requests, their next hop ("." for none)
    P-MsgFlags: HEX          hex digits with the lowest first, then the lines of a `tw_append`, then "."
    body

The request has to be in a transaction already; it gets a branch that nothing is sent for, so that it is answered 408
when the other program does not answer it (`t_reply` of the management interface).
"""

import logging
import os
import socket
from typing import Any, Final

from openserd.core.arguments import Context
from openserd.core.message import SipMsg
from openserd.errors import ConfigError
from openserd.mods.tm.memory.hand import FailureRun, InHand, in_hand
from openserd.mods.tm.memory.record import BranchRecord
from openserd.mods.tm.memory.store import Transaction
from openserd.mods.tm.requests.arrival import Requests
from openserd.parser import names
from openserd.parser.uri import parse_uri

log = logging.getLogger("openserd")

VERSION: Final = b"0.3"
NONE: Final = b"."


class Append:
    """One `tw_append`: further lines, and whether the body is wanted of requests other than INVITE too."""

    def __init__(self, text: str) -> None:
        self.name, separator, rest = (part.strip() for part in text.partition(":"))
        self.lines: list[tuple[str, str]] = []
        self.body = False
        if not self.name or not separator:
            raise ConfigError(f"bad tw_append '{text}'", expected="name:title=$variable;...")
        for element in filter(None, map(str.strip, rest.split(";"))):
            title, equals, variable = (part.strip() for part in element.partition("="))
            if not equals and title in ("$rb", "msg[body]"):
                self.body = True
            elif title and variable.startswith("$"):
                self.lines.append((title, variable))
            else:
                raise ConfigError(f"bad element '{element}' of tw_append", expected="title=$variable, or $rb")


class Info:
    """What a call of t_write_* says: the action, further lines ready to be evaluated, whether the body is wanted."""

    def __init__(self, text: str, appends: list[Append], context: Context) -> None:
        self.action, slash, name = text.partition("/")
        known = {append.name.lower(): append for append in appends}
        if not self.action or (slash and name.lower() not in known):
            raise ConfigError(f"unknown append '{name}'", expected="action or action/name of a tw_append")
        append = known[name.lower()] if slash else None
        self.body = append is not None and append.body
        self.lines: list[tuple[bytes, Any]] = []
        for title, variable in append.lines if append is not None else []:
            self.lines.append((title.encode(), context.variable(variable)))


def assemble(msg: SipMsg, info: Info, ident: bytes) -> bytes:
    """The text for one request. Raises SipError where it lacks what is needed."""
    uri = msg.uri
    later, route, next_hop = later_requests(msg)
    has_body = msg.method == b"INVITE" or info.body
    lines = [
        VERSION,
        b"sip_request.%b" % info.action.encode(),
        msg.method,
        uri.user or b"",
        uri.host,
        msg.listener.host.encode(),
        NONE if msg.listener.port == 5060 else b"%d" % msg.listener.port,
        msg.ruri,
        later or NONE,
        msg.value(msg.find(names.FROM)),
        msg.value(msg.find(names.TO)),
        msg.call_id,
        msg.from_tag or b"",
        msg.to_tag or b"",
        b"%d" % msg.cseq.number,
        ident,
        route or NONE,
        next_hop or NONE,
        appended(msg, info),
        msg.body if has_body else NONE,
    ]
    return b"".join(line + b"\n" for line in lines)


def appended(msg: SipMsg, info: Info) -> bytes:
    """Flags, the lines of the `tw_append`, and the dot that ends them."""
    lines = [b"P-MsgFlags: %b" % (b"%x" % msg.flags)[::-1]]
    for title, variable in info.lines:
        value = variable.get(msg)
        if value is not None:
            lines.append(b"%b: %b" % (title, value if isinstance(value, bytes) else b"%d" % value))
    return b"\n".join([*lines, NONE])


def later_requests(msg: SipMsg) -> tuple[bytes, bytes, bytes]:
    """Where requests of the callee in this dialog go: request URI, Route value and next hop.

    A first Record-Route without `lr` is a strict router: it becomes the request URI, the caller's Contact the last
    Route.
    """
    target = msg.contacts[0].uri if msg.contacts else msg.from_.uri
    recorded = [value.uri for value in msg.record_routes]
    if not recorded:
        return target, b"", b""
    if parse_uri(recorded[0]).has_param(b"lr"):
        return target, b",".join(b"<%b>" % uri for uri in recorded), recorded[0]
    return recorded[0], b",".join(b"<%b>" % uri for uri in [*recorded[1:], target]), b""


def write_fifo(path: str, data: bytes) -> bool:
    """Writes to a FIFO that somebody reads; False, after a log line, where that cannot be done at once."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        log.error("t_write_req: cannot open %s: %s", path, error.strerror)
        return False
    try:
        return os.write(fd, data) == len(data)
    except OSError as error:
        log.error("t_write_req: cannot write to %s: %s", path, error.strerror)
        return False
    finally:
        os.close(fd)


def write_unix(path: str, data: bytes, seconds: float) -> bool:
    """Sends one datagram to a unix socket; False, after a log line, where nobody takes it within `seconds`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        try:
            sock.sendto(data, path)
        except OSError as error:
            log.error("t_write_unix: cannot send to %s: %s", path, error)
            return False
    return True


class Teller:
    """Hands requests to other programs."""

    def __init__(self, requests: Requests, unix_seconds: float) -> None:
        self.requests = requests
        self.unix_seconds = unix_seconds

    def tell(self, msg: SipMsg, info: Info, path: str, unix: bool) -> bool:
        """Hands a request over; False where it has no transaction, nobody takes it or it has been answered."""
        found = in_hand(msg)
        if found is None:
            log.error("t_write_req, t_write_unix: there is no transaction yet: call t_newtran() before")
            return False
        ident = b"%d:%d" % (found.slot, self.requests.store.label(found.generation))
        data = assemble(msg, info, ident)
        sent = write_unix(path, data, self.unix_seconds) if unix else write_fifo(path, data)
        return sent and self.await_answer(msg, found)

    def await_answer(self, msg: SipMsg, found: InHand) -> bool:
        """Gives the transaction a branch for which nothing is sent; False where it cannot have one."""
        done = False

        def step(t: Transaction, now: int) -> None:
            nonlocal done
            done = t.server.status < 200 and self.requests.may_act(t, found)
            if not done:
                return
            if isinstance(found, FailureRun):
                self.requests.take_over(t, msg, found)
            else:
                t.server.timeout_at = 0
            t.server.first_branch = len(t.branches)
            t.branches.append(self.blind(t, now))

        self.requests.change(found, step)
        return done

    def blind(self, t: Transaction, now: int) -> BranchRecord:
        """A branch that waits for its final reply and has sent nothing."""
        branch = BranchRecord(0, 0, t.server.listener, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"", b"")
        self.requests.driver.start_client(t, branch, now)
        branch.retransmit_at = 0
        return branch
