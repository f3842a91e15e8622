"""The management commands of tm: t_uac_dlg, t_uac_cancel, t_reply (OpenSER: mi.c of tm).

t_uac_dlg sends a request and answers when its final reply is there, in whichever process that is:

    200 OK
    code reason
    remote target, next hop and Route of the dialog, "." each where there is none
    the reply's header lines and body, "." where it was made here
"""

import re
from typing import Final

from openserd.core.error_reply import error_reply
from openserd.core.management.mi import MiRegistry, Reply
from openserd.core.message import SipMsg
from openserd.core.network.addresses import Listeners
from openserd.core.network.transport import Listener
from openserd.errors import ConfigError, ResourceError, SipError
from openserd.mods.tm.memory.hand import InHand
from openserd.mods.tm.surface.api import LocalRequest, TransactionService
from openserd.mods.tm.surface.arguments import parse_destination
from openserd.mods.tm.surface.hooks import Event, Watcher
from openserd.parser import names
from openserd.parser.message import Message
from openserd.parser.status import reason_phrase
from openserd.parser.uri import parse_uri

WATCHER: Final = "tm mi"
NOTHING: Final = "."
TRANS_ID: Final = re.compile(r"(\d+):(\d+)")

#: Header fields of t_uac_dlg that are written here, whatever their number (OpenSER: skip_hf).
_OURS: Final = frozenset((names.TO, names.FROM, names.CALL_ID, names.CSEQ))


class Refused(Exception):
    """Arguments that cannot be used: code and reason of the answer."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.reply = Reply(code, reason)


class Answers(Watcher):
    """Answers t_uac_dlg; the data that travel with the request are the ticket."""

    def __init__(self, registry: MiRegistry) -> None:
        self.registry = registry

    def answered(self, event: Event) -> None:
        """The final reply is there."""
        if event.code >= 200:
            self.registry.answer(event.data.decode(), final_reply(event.code, event.reply))


def final_reply(code: int, reply: SipMsg | None) -> Reply:
    """The answer to t_uac_dlg."""
    answer = Reply()
    if reply is None:
        answer.add(value=f"{code} {reason_phrase(code).decode()}")
        for _ in range(4):
            answer.add(value=NOTHING)
        return answer
    answer.add(value=b"%d %b" % (code, reply.reason))
    target, next_hop, route = dialog_of(reply) if code < 300 else (NOTHING, NOTHING, NOTHING)
    for text in (target, next_hop, route):
        answer.add(value=text)
    answer.add(value=reply.buf[reply.line_end :])
    return answer


def dialog_of(reply: SipMsg) -> tuple[str, str, str]:
    """Remote target, next hop and Route of the dialog that a 2xx has made."""
    if not reply.contacts:
        return NOTHING, NOTHING, NOTHING
    target = reply.contacts[0].uri.decode("utf-8", "replace")
    routes = [value.uri.decode("utf-8", "replace") for value in reversed(reply.record_routes)]
    if not routes:
        return target, target, NOTHING
    return target, routes[0], "Route: " + ", ".join(f"<{uri}>" for uri in routes)


class Management:
    """What the commands do."""

    def __init__(self, service: TransactionService, listening: Listeners) -> None:
        self.service = service
        self.listening = listening
        self.requests = service.requests

    def uac(
        self, ticket: str, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str
    ) -> Reply | None:
        """t_uac_dlg; None where the answer comes later. 202 where nobody waits for it."""
        try:
            request = self.request(method, ruri, next_hop, socket, headers, body)
        except Refused as refused:
            return refused.reply
        try:
            self.service.send(request, WATCHER if ticket else "", ticket.encode())
        except (SipError, ResourceError) as error:
            code, reason = error_reply(error if isinstance(error, SipError) else None, b"MI/UAC")
            answer = Reply()
            answer.add(value=b"%d %b" % (code, reason))
            return answer
        return None if ticket else Reply(202, "Accepted")

    def request(self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str) -> LocalRequest:
        """The request that the arguments describe. Raises Refused."""
        check_uri(ruri, "Invalid RURI")
        if next_hop != NOTHING:
            check_uri(next_hop, "Invalid NEXTHOP")
        listener = None if socket == NOTHING else self.listener(socket)
        text = "" if headers == NOTHING else headers
        given = parse_headers(text, method)
        check_headers(given, method, body)
        shown = listener or self.listening.all[0]
        further = b"".join(
            given.line_of(index) for index, header in enumerate(given.ids) if header not in _OURS
        ).replace(b"!!", f"{shown.host}:{shown.port}".encode())
        cseq = given.number()
        return LocalRequest(
            method=method.encode(),
            ruri=ruri.encode(),
            from_=given.value(names.FROM),
            to=given.value(names.TO),
            headers=further,
            body=body.encode("utf-8", "surrogateescape"),
            next_hop=b"" if next_hop == NOTHING else next_hop.encode(),
            call_id=given.value(names.CALL_ID),
            listener=listener,
            **({} if cseq is None else {"cseq": cseq}),
        )

    def listener(self, socket: str) -> Listener:
        """The listener that a text names. Raises Refused."""
        try:
            proto, (host, port) = parse_destination(socket)
        except ConfigError:
            raise Refused(404, "Invalid local socket") from None
        found = self.listening.find(proto, host, port)
        if found is None:
            raise Refused(404, "Local socket not found")
        return found

    def cancel(self, call_id: str, cseq: str) -> Reply:
        """t_uac_cancel."""
        known = cseq.isdigit() and self.service.local.cancel(call_id.encode(), int(cseq))
        return Reply() if known else Reply(481, "No such transaction")

    def reply(self, code: str, reason: str, trans_id: str, to_tag: str, headers: str, body: str) -> Reply:
        """t_reply: answers a transaction that another program was told of (t_write_req)."""
        if not code.isdigit() or not 100 <= int(code) <= 699:
            return Reply(400, "Invalid reply code")
        match = TRANS_ID.fullmatch(trans_id)
        if match is None:
            return Reply(400, "Invalid trans_id")
        store = self.requests.store
        slot, label = int(match[1]), int(match[2])
        if not store.is_live(slot, label):
            return Reply(404, "Transaction not found")
        found = InHand(slot, store.table.generation(slot), store.table.hash_of(slot))
        lines = b"" if headers == NOTHING else with_line_ends(headers)
        content = body.encode("utf-8", "surrogateescape")
        done = self.requests.reply_to(
            found, int(code), reason.encode(), None, lines, content, b"" if to_tag == NOTHING else to_tag.encode()
        )
        return Reply() if done else Reply(500, "Reply failed")


class Headers:
    """Header fields as they were given, and where each line is."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.ids = message.hdr_ids[1:]  # the first is our own

    def line_of(self, index: int) -> bytes:
        """A whole line."""
        return self.message.buf[slice(*self.message.line_span(index + 1))]

    def value(self, header: int) -> bytes:
        """The value of a header field, b"" where it is not there."""
        index = self.message.find(header)
        return self.message.value(index) if index >= 0 else b""

    def number(self) -> int | None:
        """The CSeq number, None where there is none."""
        number = self.value(names.CSEQ).split()[:1]
        return int(number[0]) if number else None


def parse_headers(text: str, method: str) -> Headers:
    """Header lines as an administrator writes them. Raises Refused."""
    try:
        return Headers(Message(b"%b sip:a SIP/2.0\r\nX: 1\r\n%b\r\n" % (method.encode(), with_line_ends(text))))
    except SipError:
        raise Refused(400, "Bad headers") from None


def check_headers(given: Headers, method: str, body: str) -> None:
    """Raises Refused where a header field is missing or does not fit."""
    if body and names.CONTENT_TYPE not in given.ids:
        raise Refused(400, "Content-Type missing")
    if body and names.CONTENT_LENGTH in given.ids:
        raise Refused(400, "Content-Length disallowed")
    for header, name in ((names.TO, "To"), (names.FROM, "From")):
        if header not in given.ids:
            raise Refused(400, f"{name} missing")
    try:
        _ = given.message.from_
    except SipError:
        raise Refused(400, "Error in From") from None
    parts = given.value(names.CSEQ).split()
    if parts and not (parts[0].isdigit() and int(parts[0]) < 1 << 31):
        raise Refused(400, "Bad CSeq number")
    if parts and parts[1:] != [method.encode()]:
        raise Refused(400, "CSeq method mismatch")


def check_uri(text: str, reason: str) -> None:
    """Raises Refused where a text is no URI."""
    try:
        parse_uri(text.encode("utf-8", "surrogateescape"))
    except SipError:
        raise Refused(400, reason) from None


def with_line_ends(text: str) -> bytes:
    """Lines as they stand in a message: each with its CRLF."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return "".join(f"{line}\r\n" for line in lines if line).encode("utf-8", "surrogateescape")
