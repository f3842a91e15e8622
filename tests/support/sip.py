"""A SIP phone for tests: one UDP socket, messages as text, nothing automatic.

    with Phone("alice", proxy) as alice, Phone("bob", proxy) as bob:
        bob.register()
        invite = alice.invite("bob")
        incoming = bob.receive_request("INVITE")
        bob.reply(incoming, 486)
        alice.ack_negative(invite, alice.receive_reply(invite, 486))

A test sees every datagram: what is asked for with `receive` is taken from the inbox, the rest stays there in
order, and `seen` keeps all of it. Nothing is retransmitted unless a method says so (`transact`).
"""

import itertools
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from typing import Self

Address = tuple[str, int]
Headers = list[tuple[str, str]]

_COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "m": "contact",
    "i": "call-id",
    "e": "content-encoding",
    "l": "content-length",
    "c": "content-type",
    "s": "subject",
    "k": "supported",
}
_REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    404: "Not Found",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    500: "Server Internal Error",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
}
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
)


class TimedOut(AssertionError):
    """What a test waited for did not come; the text says what came instead."""


def new_token(prefix: str = "") -> str:
    """A word that no other message of this run has: for tags, branches and Call-IDs."""
    return prefix + secrets.token_hex(6)


class Message:
    """One SIP message, read: start line, header fields in order, body."""

    def __init__(self, raw: bytes, source: Address = ("", 0)) -> None:
        self.raw = raw
        self.source = source
        head, _, body = raw.partition(b"\r\n\r\n")
        text = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape"))
        self.start_line, *lines = text.split("\r\n")
        self.headers: Headers = []
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.append((name.strip(), value.strip()))
        self.body = body
        first, second, rest = (self.start_line.split(" ", 2) + ["", ""])[:3]
        self.is_reply = first.startswith("SIP/")
        self.code = int(second) if self.is_reply else 0
        self.reason = rest if self.is_reply else ""
        self.method = self.cseq_method if self.is_reply else first
        self.ruri = "" if self.is_reply else second

    def __repr__(self) -> str:
        return f"<{self.kind} {self.start_line!r} from {self.source[0]}:{self.source[1]}>"

    @property
    def kind(self) -> str:
        """`INVITE` for a request, `180/INVITE` for a reply: the word that relay rules use too."""
        return f"{self.code}/{self.method}" if self.is_reply else self.method

    def raw_values(self, name: str) -> list[str]:
        """The values of all header fields of this name as written, compact form or long."""
        wanted = name.lower()
        return [value for field, value in self.headers if _COMPACT.get(field.lower(), field.lower()) == wanted]

    def all(self, name: str) -> list[str]:
        """The single values of a list field, whether on one line or on several."""
        return [part for value in self.raw_values(name) for part in split_commas(value)]

    def get(self, name: str) -> str:
        """The first value of the field, empty when there is none."""
        return next(iter(self.raw_values(name)), "")

    def has(self, name: str) -> bool:
        return bool(self.raw_values(name))

    @property
    def call_id(self) -> str:
        return self.get("call-id")

    @property
    def cseq(self) -> int:
        return int(self.get("cseq").split()[0])

    @property
    def cseq_method(self) -> str:
        return (self.get("cseq").split() + ["", ""])[1]

    @property
    def branch(self) -> str:
        """The branch of the top Via."""
        via = self.all("via")
        return parameter(via[0], "branch") if via else ""

    @property
    def from_tag(self) -> str:
        return parameter(self.get("from"), "tag")

    @property
    def to_tag(self) -> str:
        return parameter(self.get("to"), "tag")

    @property
    def contact_uri(self) -> str:
        return uri_of(self.get("contact"))


def split_commas(value: str) -> list[str]:
    """A comma list as its parts; commas within quotes and angle brackets belong to a part."""
    parts, start, quoted, nested = [], 0, False, False
    for at, char in enumerate(value):
        if char == '"' and value[at - 1 : at] != "\\":
            quoted = not quoted
        elif not quoted and char in "<>":
            nested = char == "<"
        elif char == "," and not quoted and not nested:
            parts.append(value[start:at].strip())
            start = at + 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


def uri_of(value: str) -> str:
    """The URI of a name-addr or addr-spec value, without header parameters."""
    bracketed = re.search(r"<([^>]*)>", value)
    return bracketed[1] if bracketed else value.split(";", 1)[0].strip()


def parameter(value: str, name: str) -> str:
    """A header parameter behind the URI, empty when absent."""
    behind = value.rsplit(">", 1)[-1]
    found = re.search(rf";\s*{re.escape(name)}\s*=\s*([^;,\s]+)", behind, re.IGNORECASE)
    return found[1] if found else ""


def has_lr(route: str) -> bool:
    """Whether a Route value names a loose router."""
    return re.search(r";lr(?=[;=>]|$)", uri_of(route) + ";") is not None


def build(start_line: str, headers: Headers, body: str | bytes = "") -> bytes:
    """A message as bytes; Content-Length is added unless `headers` has one."""
    content = body.encode() if isinstance(body, str) else body
    lines = [start_line, *(f"{name}: {value}" for name, value in headers)]
    if not any(name.lower() in ("content-length", "l") for name, _ in headers):
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + content


def is_request(method: str) -> Callable[[Message], bool]:
    return lambda message: not message.is_reply and message.method == method


def is_reply_to(request: Message, code: int | range | None = None) -> Callable[[Message], bool]:
    """Replies with this request's branch; `code` is one code, a range of them, or None for any."""
    codes = range(code, code + 1) if isinstance(code, int) else code
    return lambda message: (
        message.is_reply
        and message.branch == request.branch
        and message.cseq_method == request.method
        and (codes is None or message.code in codes)
    )


PROVISIONAL = range(100, 200)
FINAL = range(200, 700)


class Phone:
    """A user agent with one socket on the loopback.

    `proxy` is where requests go. `domain` is the host of its address-of-record, else the proxy's address.
    `published` is the address in Via and Contact when it is another than the socket's own (behind a Relay).
    """

    def __init__(
        self,
        user: str,
        proxy: Address,
        *,
        domain: str = "",
        host: str = "127.0.0.1",
        published: Address | None = None,
    ) -> None:
        self.user = user
        self.proxy = proxy
        self.domain = domain or f"{proxy[0]}:{proxy[1]}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.address: Address = self.socket.getsockname()
        self.published = published or self.address
        self.inbox: list[Message] = []
        self.seen: list[Message] = []
        self._cseq = itertools.count(1)
        self._registration = new_token("reg-")
        self._register_cseq = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    # --- the address and what names it ----------

    @property
    def aor(self) -> str:
        return f"sip:{self.user}@{self.domain}"

    @property
    def contact(self) -> str:
        return f"sip:{self.user}@{self.published[0]}:{self.published[1]}"

    def via(self, branch: str = "") -> str:
        return f"SIP/2.0/UDP {self.published[0]}:{self.published[1]};branch={branch or new_token('z9hG4bK')}"

    # --- sending ----------

    def send_raw(self, data: bytes, to: Address | None = None) -> None:
        self.socket.sendto(data, to or self.proxy)

    def send(self, message: Message, to: Address | None = None) -> Message:
        """The message's own bytes, again if need be: a retransmission is `send` of the same message."""
        self.send_raw(message.raw, to)
        return message

    def request(
        self,
        method: str,
        ruri: str,
        *,
        to: str = "",
        from_: str = "",
        call_id: str = "",
        cseq: int | None = None,
        branch: str = "",
        routes: Iterable[str] = (),
        contact: str | None = None,
        max_forwards: int | None = 70,
        headers: Iterable[tuple[str, str]] = (),
        body: str | bytes = "",
        send_to: Address | None = None,
        send: bool = True,
    ) -> Message:
        """Sends a request and gives it back. `to` and `from_` are whole field values, made when not given."""
        fields: Headers = [("Via", self.via(branch))]
        if max_forwards is not None:
            fields.append(("Max-Forwards", str(max_forwards)))
        fields += [("Route", route) for route in routes]
        fields += [
            ("From", from_ or f"<{self.aor}>;tag={new_token()}"),
            ("To", to or f"<{ruri}>"),
            ("Call-ID", call_id or new_token(f"{self.user}-")),
            ("CSeq", f"{next(self._cseq) if cseq is None else cseq} {method}"),
        ]
        if contact is None and method in ("INVITE", "SUBSCRIBE", "OPTIONS"):
            contact = f"<{self.contact}>"
        if contact:
            fields.append(("Contact", contact))
        fields += headers
        message = Message(build(f"{method} {ruri} SIP/2.0", fields, body), self.address)
        return self.send(message, send_to) if send else message

    def invite(self, callee: str, **parts: object) -> Message:
        """An INVITE with a session description; `callee` is a user of the proxy's domain or a whole URI."""
        uri = callee if callee.startswith("sip:") else f"sip:{callee}@{self.domain}"
        parts.setdefault("body", SDP)
        parts.setdefault("headers", [("Content-Type", "application/sdp")])
        return self.request("INVITE", uri, **parts)  # type: ignore[arg-type]

    def cancel(self, invite: Message) -> Message:
        """The CANCEL of an INVITE (RFC 3261 section 9.1): same branch, same URI, To without a tag."""
        return self._same_hop("CANCEL", invite, invite.get("to"))

    def ack_negative(self, invite: Message, reply: Message) -> Message:
        """The ACK of the transaction for a final reply >= 300 (section 17.1.1.3)."""
        return self._same_hop("ACK", invite, reply.get("to"))

    def _same_hop(self, method: str, invite: Message, to: str) -> Message:
        fields: Headers = [("Via", invite.all("via")[0]), ("Max-Forwards", "70")]
        fields += [("Route", route) for route in invite.raw_values("route")]
        fields += [
            ("From", invite.get("from")),
            ("To", to),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{invite.cseq} {method}"),
        ]
        return self.send(Message(build(f"{method} {invite.ruri} SIP/2.0", fields), self.address))

    def ack(self, invite: Message, reply: Message) -> Message:
        """The ACK of a 2xx (section 13.2.2.4): a request of its own, on the dialog's route."""
        return self.in_dialog("ACK", invite, reply, cseq=invite.cseq)

    def in_dialog(
        self,
        method: str,
        invite: Message,
        reply: Message,
        *,
        cseq: int | None = None,
        routes: Iterable[str] | None = None,
        send: bool = True,
        headers: Iterable[tuple[str, str]] = (),
        body: str = "",
    ) -> Message:
        """A request inside the dialog that `invite` (sent by this phone) and its 2xx `reply` made.

        The route is the reply's Record-Route reversed; a first route without `lr` is addressed the strict way
        (section 12.2.1.1). `routes` replaces it.
        """
        route_set = list(reversed(reply.all("record-route"))) if routes is None else list(routes)
        return self._dialog_request(
            method,
            target=reply.contact_uri,
            route_set=route_set,
            from_=invite.get("from"),
            to=reply.get("to"),
            call_id=invite.call_id,
            cseq=cseq if cseq is not None else invite.cseq + 1,
            headers=headers,
            body=body,
            send=send,
        )

    def in_dialog_as_callee(self, method: str, invite: Message, reply: Message, *, cseq: int = 1) -> Message:
        """The same from the called side: `invite` was received, `reply` is the 2xx that this phone sent."""
        return self._dialog_request(
            method,
            target=invite.contact_uri,
            route_set=invite.all("record-route"),
            from_=reply.get("to"),
            to=invite.get("from"),
            call_id=invite.call_id,
            cseq=cseq,
        )

    def _dialog_request(
        self,
        method: str,
        *,
        target: str,
        route_set: list[str],
        from_: str,
        to: str,
        call_id: str,
        cseq: int,
        headers: Iterable[tuple[str, str]] = (),
        body: str = "",
        send: bool = True,
    ) -> Message:
        ruri = target
        if route_set and not has_lr(route_set[0]):
            ruri = uri_of(route_set[0])
            route_set = [*route_set[1:], f"<{target}>"]
        return self.request(
            method,
            ruri,
            to=to,
            from_=from_,
            call_id=call_id,
            cseq=cseq,
            routes=route_set,
            headers=headers,
            body=body,
            send=send,
        )

    def reply(
        self,
        request: Message,
        code: int,
        reason: str = "",
        *,
        tag: str = "",
        contact: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: str | bytes = "",
    ) -> Message:
        """Answers a received request where it came from; the To tag is made from the Call-ID."""
        fields: Headers = [("Via", value) for value in request.raw_values("via")]
        if code // 100 in (1, 2):
            fields += [("Record-Route", value) for value in request.raw_values("record-route")]
        to = request.get("to")
        if code > 100 and not request.to_tag:
            to += f";tag={tag or f'{self.user}-{request.call_id}'}"
        fields += [
            ("From", request.get("from")),
            ("To", to),
            ("Call-ID", request.call_id),
            ("CSeq", request.get("cseq")),
        ]
        if contact is None and code // 100 in (1, 2) and request.method == "INVITE" and code > 100:
            contact = f"<{self.contact}>"
        if contact:
            fields.append(("Contact", contact))
        fields += headers
        start = f"SIP/2.0 {code} {reason or _REASONS.get(code, 'Reason')}"
        return self.send(Message(build(start, fields, body), self.address), request.source)

    # --- receiving ----------

    def receive(self, wanted: Callable[[Message], bool] | None = None, timeout: float = 3.0) -> Message:
        """The oldest message that `wanted` accepts, waiting for it; TimedOut tells what came instead."""
        deadline = time.monotonic() + timeout
        while True:
            for at, message in enumerate(self.inbox):
                if wanted is None or wanted(message):
                    return self.inbox.pop(at)
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise TimedOut(f"{self.user}: nothing wanted within {timeout} s; unread: {self.inbox}")

    def receive_request(self, method: str, timeout: float = 3.0) -> Message:
        try:
            return self.receive(is_request(method), timeout)
        except TimedOut as error:
            raise TimedOut(f"waiting for {method}: {error}") from None

    def receive_reply(self, request: Message, code: int | range | None = FINAL, timeout: float = 3.0) -> Message:
        """The next reply to `request`: with that code, one of a range (FINAL, PROVISIONAL), or any (None)."""
        try:
            return self.receive(is_reply_to(request, code), timeout)
        except TimedOut as error:
            raise TimedOut(f"waiting for a reply {code} to {request}: {error}") from None

    def receives_nothing(self, wanted: Callable[[Message], bool] | None = None, seconds: float = 0.3) -> None:
        """Fails when a message that `wanted` accepts is here or arrives within `seconds`.

        Without `wanted` any message counts but a 100, which may come at any time and means nothing to a user.
        """
        try:
            message = self.receive(wanted or (lambda message: message.code != 100), seconds)
        except TimedOut:
            return
        raise AssertionError(f"{self.user} got {message}, which nobody should have sent")

    def drain(self, seconds: float = 0.0) -> list[Message]:
        """Everything unread, after listening for `seconds` more; the inbox is empty then."""
        deadline = time.monotonic() + seconds
        while self._read(max(0.0, deadline - time.monotonic())):
            pass
        messages, self.inbox = self.inbox, []
        return messages

    def _read(self, timeout: float) -> bool:
        self.socket.settimeout(max(timeout, 0.0005))
        try:
            data, source = self.socket.recvfrom(65535)
        except TimeoutError:
            return False
        except ConnectionRefusedError:
            return True
        if data.strip():
            message = Message(data, source)
            self.inbox.append(message)
            self.seen.append(message)
        return True

    # --- small conversations ----------

    def transact(self, request: Message, timeout: float = 5.0, t1: float = 0.5) -> Message:
        """The final reply to a request already sent, retransmitting it over doubling gaps meanwhile.

        An INVITE is not repeated after a provisional reply (RFC 3261 section 17.1.1.2).
        """
        deadline, gap, again = time.monotonic() + timeout, t1, True
        next_send = time.monotonic() + gap
        while (now := time.monotonic()) < deadline:
            try:
                reply = self.receive_reply(request, None, min(next_send if again else deadline, deadline) - now)
            except TimedOut:
                if again and time.monotonic() >= next_send:
                    self.send(request)
                    gap = min(gap * 2, 4.0)
                    next_send = time.monotonic() + gap
                continue
            if reply.code >= 200:
                return reply
            if request.method == "INVITE":
                again = False
        raise TimedOut(f"{self.user}: no final reply to {request} within {timeout} s; seen: {self.seen}")

    def register(
        self,
        expires: int | None = 600,
        *,
        contact: str | None = None,
        cseq: int | None = None,
        call_id: str = "",
        expect: int | None = 200,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Message:
        """Registers and gives the final reply back; `contact` is a whole field value, empty for a query.

        The Call-ID stays the same and CSeq counts up, as RFC 3261 section 10.2.4 wants of a refresh.
        """
        fields = list(headers)
        if expires is not None:
            fields.append(("Expires", str(expires)))
        request = self.request(
            "REGISTER",
            f"sip:{self.domain}",
            to=f"<{self.aor}>",
            call_id=call_id or self._registration,
            cseq=next(self._register_cseq) if cseq is None else cseq,
            contact=f"<{self.contact}>" if contact is None else contact,
            headers=fields,
        )
        reply = self.transact(request)
        if expect is not None:
            assert reply.code == expect, f"REGISTER got {reply.start_line!r}, expected {expect}"
        return reply

    def bindings(self) -> dict[str, int]:
        """Contacts that the registrar knows for this user: URI -> seconds left."""
        reply = self.register(None, contact="")
        return {uri_of(value): int(parameter(value, "expires")) for value in reply.all("contact")}

    def answers(self, invite: Message, ring: bool = True) -> Message:
        """Rings and answers a received INVITE; gives the 200 back."""
        if ring:
            self.reply(invite, 180)
        return self.reply(invite, 200, body=SDP, headers=[("Content-Type", "application/sdp")])
