"""save(): a REGISTER becomes bindings and is answered (RFC 3261 section 10.3).

Everything is read and checked first; then the AoR's bindings are changed in one step, all or none (item 7).
"""

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from openserd.core.destinations import format_q
from openserd.errors import ResourceError, SipError
from openserd.mods.registrar.aor import AorRules
from openserd.mods.registrar.contacts import NO_Q, ContactReader, expires_header
from openserd.mods.registrar.path import MODE_OFF, MODE_STRICT
from openserd.parser.params import quote
from openserd.parser.status import reason_phrase

if TYPE_CHECKING:
    from openserd.core.message import SipMsg
    from openserd.mods.usrloc.binding import Binding, Rules
    from openserd.mods.usrloc.location import Location

log = logging.getLogger("openserd")

SAVE_MEMORY_ONLY: Final = 1
SAVE_NO_REPLY: Final = 2

PATH_TAG: Final = b"path"


class Refused(SipError):
    """A REGISTER not carried out; `bindings` are those the AoR keeps, `headers` lines for the reply."""

    def __init__(
        self,
        reason: str,
        code: int = 400,
        bindings: "list[Binding] | None" = None,
        headers: tuple[bytes, ...] = (),
    ) -> None:
        super().__init__(reason, code=code)
        self.bindings = bindings or []
        self.headers = headers


def changed(
    wanted: "list[Binding]", rules: "Rules", max_contacts: int, bindings: "list[Binding]", now: int
) -> "list[Binding]":
    """What a REGISTER that wants these bindings makes of its AoR's: pure, run under the lock of the AoR.

    Refused, with the old ones, when CSeq is out of order or they become too many.
    """
    new = [*bindings]
    for binding in wanted:
        if not rules.apply(new, binding, now):
            raise Refused("Invalid CSeq number", bindings=bindings)
    if max_contacts and len(bindings) < len(new) > max_contacts:
        raise Refused("Too many registered contacts", 503, bindings)
    return new


class Removal:
    """`Contact: *`: all bindings go, or none where one has seen a later CSeq (RFC 3261 section 10.3 item 6)."""

    __slots__ = ("call_id", "cseq", "rules")

    def __init__(self, msg: "SipMsg", rules: "Rules") -> None:
        self.call_id = msg.call_id
        self.cseq = msg.cseq.number
        self.rules = rules

    def __call__(self, bindings: "list[Binding]", now: int) -> "list[Binding]":
        """The bindings that stay. Refused, with the old ones, when the CSeq is out of order."""
        rest = self.rules.without_all(bindings, self.call_id, self.cseq, now)
        if rest is None:
            raise Refused("Invalid CSeq number", bindings=bindings)
        return rest


class Saver:
    """Saves REGISTERs: what is made once of registrar's parameters."""

    __slots__ = ("aors", "location", "max_contacts", "path_mode", "reader", "received_param", "retry_after")

    def __init__(
        self,
        location: "Location",
        aors: AorRules,
        reader: ContactReader,
        *,
        max_contacts: int = 0,
        retry_after: int = 0,
        path_mode: int = MODE_STRICT,
        received_param: bytes = b"received",
    ) -> None:
        self.location = location
        self.aors = aors
        self.reader = reader
        self.max_contacts = max_contacts
        self.retry_after = retry_after
        self.path_mode = path_mode
        self.received_param = received_param

    def save(self, msg: "SipMsg", domain: bytes, flags: int) -> "tuple[int, bytes, list[bytes], list[Binding]]":
        """Carries a REGISTER out: the code, reason and header lines of its reply, and what it asked for.

        Whatever is wrong becomes the error reply; nothing has changed then.
        """
        now = int(msg.received_at)
        try:
            wanted, bindings = self.change(msg, domain, flags, now)
        except SipError as error:
            refused = error if isinstance(error, Refused) else Refused(error.reason, error.code)
            return refused.code, reason_phrase(refused.code), self.error_headers(refused, now), []
        except ResourceError as error:
            log.error("registrar: a binding was not stored: %s", error)
            refused = Refused("usrloc_contact_insert failed", 500)
            return refused.code, reason_phrase(refused.code), self.error_headers(refused, now), []
        headers = contact_header(bindings, now, self.received_param)
        if wanted and wanted[0].path and self.path_mode != MODE_OFF and supports_path(msg):
            headers.append(b"Path: %b\r\n" % wanted[0].path)
        return 200, b"OK", headers, wanted

    def change(self, msg: "SipMsg", domain: bytes, flags: int, now: int) -> "tuple[list[Binding], list[Binding]]":
        """What a REGISTER asks for, and the AoR's bindings after it: as they are when it asks for nothing."""
        aor = self.aors.of_to(msg)
        if not aor:
            raise SipError("No username in To URI")
        rules = self.location.rules
        wanted = self.reader.read(msg, now, flags & SAVE_MEMORY_ONLY)
        if not wanted:
            if not msg.contact_star:
                return [], self.location.get(domain, aor)
            if expires_header(msg) != 0:
                raise SipError("* used in contact and expires is not zero")
            return [], self.location.update(domain, aor, now, Removal(msg, rules))
        path = wanted[0].path
        if path and self.path_mode == MODE_STRICT and not supports_path(msg):
            raise Refused(
                "No support for found Path indicated",
                420,
                headers=(b"Unsupported: path\r\n", b"Path: %b\r\n" % path),
            )
        return wanted, self.location.update(domain, aor, now, partial(changed, wanted, rules, self.max_contacts))

    def error_headers(self, refused: Refused, now: int) -> list[bytes]:
        """The header lines of an error reply: the bindings as they are, the reason, when to try again."""
        headers = contact_header(refused.bindings, now, self.received_param)
        headers += refused.headers
        headers.append(b"P-Registrar-Error: %b\r\n" % refused.reason.encode())
        if refused.code >= 500 and self.retry_after:
            headers.append(b"Retry-After: %d\r\n" % self.retry_after)
        return headers


def supports_path(msg: "SipMsg") -> bool:
    """Whether the phone says that it understands Path (RFC 3327 section 5.1)."""
    return any(tag.lower() == PATH_TAG for tag in msg.supported)


def contact_header(bindings: "list[Binding]", now: int, received_param: bytes) -> list[bytes]:
    """The Contact header line with every valid binding and its remaining time, no line without any.

    OpenSER: a permanent binding is written with the seconds since 1970, negative; here with the most seconds
    there are.
    """
    values = []
    for binding in bindings:
        seconds = binding.seconds_left(now)
        if seconds <= 0:
            continue
        q = b"" if binding.q == NO_Q else b";q=%b" % format_q(binding.q)
        value = b"<%b>%b;expires=%d" % (binding.uri, q, seconds)
        if binding.received:
            value += b";%b=%b" % (received_param, quote(binding.received))
        values.append(value)
    return [b"Contact: %b\r\n" % b", ".join(values)] if values else []
