"""Messages for tests: whole ones from the little that a test says, replies and later requests from earlier messages."""

from collections.abc import Iterable, Mapping
from typing import Final

from openserd.parser import names
from openserd.parser.message import Message
from openserd.parser.names import header_id
from openserd.parser.status import reason_phrase
from openserd.testing.sent import shown

#: Header fields by name: a value, several values for as many lines, or None to leave out one that is usually there.
Headers = Mapping[str, str | Iterable[str] | None]

MAKES_DIALOG: Final = frozenset(("INVITE", "SUBSCRIBE", "REFER", "NOTIFY", "UPDATE"))
CALLEE_TAG: Final = "callee"

_IN_REPLY: Final = frozenset((names.VIA, names.FROM, names.CALL_ID, names.CSEQ))
_IN_CANCEL: Final = frozenset((names.FROM, names.TO, names.CALL_ID, names.ROUTE, names.MAX_FORWARDS))
_IN_DIALOG: Final = frozenset((names.FROM, names.CALL_ID, names.MAX_FORWARDS))


class Fields:
    """Header fields in their order."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def add(self, name: str, value: str) -> None:
        """Adds one line."""
        self.lines.append((name, value))

    def has(self, name: str) -> bool:
        """Whether there is a line of that name, in long or compact form."""
        return any(same_name(name, one) for one, _ in self.lines)

    def merge(self, headers: Headers | None) -> None:
        """Gives header fields other values, in their place where they are there already."""
        for name, value in (headers or {}).items():
            values = [value] if isinstance(value, str) else list(value or ())
            places = [index for index, (one, _) in enumerate(self.lines) if same_name(name, one)]
            at = places[0] if places else len(self.lines)
            self.lines = [line for index, line in enumerate(self.lines) if index not in places]
            self.lines[at:at] = [(name, one) for one in values]

    def message(self, first_line: str, body: str) -> bytes:
        """The whole message; Content-Type and Content-Length are added where they are missing."""
        content = body.encode()
        if content and not self.has("Content-Type"):
            self.add("Content-Type", "application/sdp")
        if not self.has("Content-Length"):
            self.add("Content-Length", str(len(content)))
        head = "".join(f"{name}: {value}\r\n" for name, value in self.lines)
        return f"{first_line}\r\n{head}\r\n".encode() + content


def same_name(one: str, other: str) -> bool:
    """Whether two names mean the same header field."""
    known = header_id(one.encode())
    return known == header_id(other.encode()) if known else one.lower() == other.lower()


def address(text: str) -> str:
    """A URI in the form of From, To and Contact, as it is where it has that form."""
    return text if "<" in text or text == "*" else f"<{text}>"


def as_datagram(text: str | bytes) -> bytes:
    """A message as a test writes it: text with plain line ends, or the very bytes."""
    if isinstance(text, bytes):
        return text
    plain = text.lstrip("\n").replace("\r\n", "\n")
    return (plain if "\n\n" in plain else plain.rstrip("\n") + "\n\n").replace("\n", "\r\n").encode()


def reply_to(sent: Message, status: int, reason: str, headers: Headers | None, body: str, contact: str) -> bytes:
    """The reply of the server that a request was sent to."""
    fields = Fields()
    for index, line in enumerate(sent.hdr_ids):
        name, value = shown(sent.name(index)), shown(sent.value(index))
        if line in _IN_REPLY or (line == names.RECORD_ROUTE and 100 < status < 300):
            fields.add(name, value)
        elif line == names.TO:
            fields.add(name, value if "tag=" in value or status == 100 else f"{value};tag={CALLEE_TAG}")
    if 100 < status < 300 and shown(sent.method) in MAKES_DIALOG:
        fields.add("Contact", address(contact))
    fields.merge(headers)
    return fields.message(f"SIP/2.0 {status} {reason or shown(reason_phrase(status))}", body)


def cancel_of(request: Message, method: str = "CANCEL", to: str = "") -> bytes:
    """The CANCEL of a request, or with `method` the ACK for a negative reply whose To is `to`: the same top Via."""
    fields = Fields()
    fields.add("Via", shown(request.value(request.find(names.VIA))))
    for index, line in enumerate(request.hdr_ids):
        if line in _IN_CANCEL:
            value = to if to and line == names.TO else shown(request.value(index))
            fields.add(shown(request.name(index)), value)
    fields.add("CSeq", f"{request.cseq.number} {method}")
    return fields.message(f"{method} {shown(request.ruri)} SIP/2.0", "")


def within_dialog(
    request: Message, answer: Message, method: str, cseq: int, via: str, headers: Headers | None, body: str
) -> bytes:
    """A request of the caller in the dialog that `request` and its positive `answer` have made."""
    fields = Fields()
    fields.add("Via", via)
    for value in reversed(answer.record_routes):
        fields.add("Route", shown(answer.buf[value.start : value.end]).strip())
    for index, line in enumerate(request.hdr_ids):
        if line in _IN_DIALOG:
            fields.add(shown(request.name(index)), shown(request.value(index)))
    fields.add("To", shown(answer.value(answer.find(names.TO))))
    fields.add("CSeq", f"{cseq} {method}")
    fields.merge(headers)
    target = answer.contacts[0].uri if answer.contacts else request.ruri
    return fields.message(f"{method} {shown(target)} SIP/2.0", body)
