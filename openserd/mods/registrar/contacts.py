"""From the Contact header fields of a REGISTER to the bindings it asks for (RFC 3261 section 10.2.1)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from openserd.core.avp import Name
from openserd.core.message import known_uri
from openserd.core.network.transport import Listener
from openserd.errors import SipError
from openserd.mods.registrar.path import path_vector, received_of
from openserd.mods.registrar.sockets import Sockets
from openserd.parser import names
from openserd.parser.learned import LONGEST_LINE, Learned
from openserd.parser.methods import ALL_METHODS, method_mask
from openserd.parser.numbers import LINE_NUMBERS, MAX_SECONDS, NO_NUMBER, read_seconds
from openserd.parser.usual import usual_address, usual_uri

if TYPE_CHECKING:
    from openserd.core.message import SipMsg
    from openserd.mods.usrloc.binding import Binding
    from openserd.parser.nameaddr import NameAddr

MAX_CONTACT: Final = 255
MAX_RECEIVED: Final = 255
MAX_CALL_ID: Final = 255
MAX_USER_AGENT: Final = 254
UNREADABLE_EXPIRES: Final = 3600  #: seconds for an `expires` parameter that is no number
NO_Q: Final = -1  #: q unspecified
MAX_DIGITS: Final = 10
PAST: Final = 1  #: when a contact that is to be removed expires
NO_USER_AGENT: Final = b"n/a"
STAR: Final = b"*"

#: One contact: its URI and its parameters `expires` (as written), `methods` (a mask), `q` (thousandths) and `received`,
#: None for those that it does not have.
Contact = tuple[bytes, bytes | None, int | None, int | None, bytes | None]

_EXPIRES: Final = b";expires="


class Terms:
    """How long a binding lives and how it is preferred; 0 turns a limit off."""

    __slots__ = ("default_expires", "default_q", "max_expires", "min_expires")

    def __init__(
        self, default_expires: int = 3600, min_expires: int = 60, max_expires: int = 0, default_q: int = NO_Q
    ) -> None:
        self.default_expires = default_expires
        self.min_expires = min_expires
        self.max_expires = max_expires
        self.default_q = default_q

    def expires_at(self, param: bytes | None, header: int | None, now: int) -> int:
        """When a contact expires, PAST when it is to be removed: by its parameter, the Expires header field
        or the default, brought within the limits.

        OpenSER: too short a time is lengthened, where RFC 3261 section 10.3 item 7 also allows 423.
        """
        if param:
            number = read_seconds(param)
            seconds = UNREADABLE_EXPIRES if number is None else number
            asked = True
        else:
            seconds = self.default_expires if header is None else header
            asked = header is not None
        if asked and not seconds:
            return PAST
        if seconds < self.min_expires:
            seconds = self.min_expires
        if seconds > self.max_expires > 0:
            seconds = self.max_expires
        if not seconds:
            return PAST
        return now + seconds if seconds < MAX_SECONDS - now else MAX_SECONDS


class ContactReader:
    """Makes bindings, of usrloc's class `binding`, of a REGISTER's contacts.

    `received_avp` names the AVP (and the mask of its classes) with the URI that the REGISTER came from;
    `sock_flag`, a mask, lets the header field `sock_hdr_name` say which listener it came in by; `nat_bflag`
    is set where the Path's `received` parameter is taken.
    """

    __slots__ = (
        "binding", "nat_bflag", "path_use_received", "received_avp", "sock_flag", "sock_hdr_name", "sockets",
        "terms", "use_path",
    )  # fmt: skip

    def __init__(
        self,
        binding: "type[Binding]",
        terms: Terms,
        sockets: Sockets,
        *,
        received_avp: tuple[Name, int] | None = None,
        sock_flag: int = 0,
        sock_hdr_name: bytes = b"",
        use_path: bool = False,
        path_use_received: bool = False,
        nat_bflag: int = 0,
    ) -> None:
        self.binding = binding
        self.terms = terms
        self.sockets = sockets
        self.received_avp = received_avp
        self.sock_flag = sock_flag
        self.sock_hdr_name = sock_hdr_name
        self.use_path = use_path
        self.path_use_received = path_use_received
        self.nat_bflag = nat_bflag

    def read(self, msg: "SipMsg", now: int, flags: int) -> "list[Binding]":
        """The bindings that a REGISTER asks for, in its order, those to be removed with `expires` PAST.

        `flags` are those of the bindings.  A contact named twice counts as the last one says.  SipError, its
        reason as registrar answers it.
        """
        header = expires_header(msg)
        contacts = usual_contact(msg) or self.contacts(msg)
        if not contacts:
            return []
        call_id = msg.call_id
        if len(call_id) > MAX_CALL_ID:
            raise SipError("Callid too long")
        cseq = msg.cseq.number
        line = msg.layout.first.get(names.USER_AGENT)
        user_agent = NO_USER_AGENT if line is None else _USER_AGENTS[msg.lines[line]]
        socket = self.sockets.text(self.listener(msg) if msg.flags & self.sock_flag else msg.listener)
        allowed = method_mask(msg.headers(names.ALLOW)) if names.ALLOW in msg.layout.first else ALL_METHODS
        cflags = msg.branch_flags
        path = path_vector(msg) if self.use_path else b""
        via_path = received_of(path) if path and self.path_use_received else b""
        if via_path:
            cflags |= self.nat_bflag
        received = b"" if self.received_avp is None else self.received(msg, self.received_avp)
        bindings = []
        make = self.binding
        for uri, expires, methods, q, own_received in contacts:
            binding = make(
                self.terms.expires_at(expires, header, now), cseq, flags, cflags,
                allowed if methods is None else methods, now, self.terms.default_q if q is None else q, uri, call_id,
                user_agent, socket, via_path or own_received or received, path,
            )  # fmt: skip
            if len(uri) > MAX_CONTACT or len(binding.received) > MAX_RECEIVED:
                raise SipError("Contact/received too long")
            bindings.append(binding)
        return bindings if len(bindings) == 1 else [*{binding.uri: binding for binding in bindings}.values()]

    def contacts(self, msg: "SipMsg") -> list[Contact]:
        """The contacts of a REGISTER in any form that there is."""
        found = []
        for contact in contact_values(msg):
            known_uri(contact.uri)  # what does not parse could never be called
            q = contact_q(contact)
            found.append(
                (contact.uri, contact.param(b"expires"), contact_methods(contact), q, contact.param(b"received"))
            )
        return found

    def received(self, msg: "SipMsg", avp: tuple[Name, int]) -> bytes:
        """What `received_avp` holds, b"" for nothing."""
        value = msg.avps.get(*avp)
        return value if isinstance(value, bytes) else b""

    def listener(self, msg: "SipMsg") -> Listener:
        """The listener that the contact is to be reached by, as the request says it where it does."""
        for index in msg.indexes_named(self.sock_hdr_name):
            return self.sockets.read(msg.value(index)) or msg.listener
        return msg.listener


def read_user_agent(line: bytes) -> bytes:
    """What is kept of a User-Agent line."""
    value = line.partition(b":")[2].strip()
    return value if 0 < len(value) <= MAX_USER_AGENT else NO_USER_AGENT


_USER_AGENTS: Final = Learned(read_user_agent, LONGEST_LINE)


def usual_contact(msg: "SipMsg") -> Sequence[Contact]:
    """The contact of a REGISTER that has one, without parameters but `expires`; nothing in any other case."""
    line = msg.layout.only.get(names.CONTACT)
    return () if line is None else _CONTACT_LINES[msg.lines[line]]


def read_contact(line: bytes) -> tuple[Contact, ...]:
    """As `usual_contact`, of the line."""
    usual = usual_address(line)
    if usual is None or usual_uri(usual[0]) is None:
        return ()
    uri, params = usual
    if not params:
        return ((uri, None, None, None, None),)
    _, found, expires = params.partition(_EXPIRES)
    is_alone = found + expires == params and expires.isdigit() and len(expires) < MAX_DIGITS
    return ((uri, expires, None, None, None),) if is_alone else ()


#: A phone that refreshes its registration writes the same line each time.
_CONTACT_LINES: Final = Learned(read_contact, LONGEST_LINE)


def contact_values(msg: "SipMsg") -> "list[NameAddr]":
    """The contacts of a REGISTER, none for `*`, which has to be alone."""
    try:
        return msg.contacts
    except SipError:
        is_star = STAR in msg.headers(names.CONTACT)
        reason = "* used in contact and more than 1 contact" if is_star else "Contact parse error"
        raise SipError(reason) from None


def expires_header(msg: "SipMsg") -> int | None:
    """Expires in seconds; None when absent or, as RFC 2543 allowed, a date."""
    line = msg.layout.first.get(names.EXPIRES)
    if line is None:
        return None
    seconds = LINE_NUMBERS[msg.lines[line]]
    if seconds != NO_NUMBER:
        return seconds
    value = msg.header(names.EXPIRES)
    if not value:
        raise SipError("Expires parse error")
    return read_seconds(value)


def contact_q(contact: "NameAddr") -> int | None:
    """The q of a contact in thousandths, None when unspecified."""
    try:
        return contact.q if contact.param(b"q") else None
    except SipError:
        raise SipError("Invalid q param in contact") from None


def contact_methods(contact: "NameAddr") -> int | None:
    """The methods in the `methods` parameter of a contact, None without it."""
    param = contact.param(b"methods")
    if param is None:
        return None
    mask = method_mask([param])
    if not mask:
        raise SipError("Message parse error")
    return mask
