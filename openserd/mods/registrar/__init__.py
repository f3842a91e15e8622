"""registrar: from REGISTER requests to bindings, and from an AoR to its bindings (OpenSER: modules/registrar)."""

from typing import TYPE_CHECKING, Any, Final

from openserd.core.avp import Name
from openserd.core.module import (
    FAILURE,
    FALSE,
    OK,
    REQUEST,
    STOP,
    Fixup,
    Fn,
    Int,
    Module,
    PvStr,
    Str,
    between,
    not_negative,
    param,
    stat,
)
from openserd.errors import ConfigError, ResourceError, SipError
from openserd.mods.registrar.aor import AorRules
from openserd.mods.registrar.contacts import NO_Q, ContactReader, Terms
from openserd.mods.registrar.lookup import Finder, is_registered
from openserd.mods.registrar.save import SAVE_NO_REPLY, Saver
from openserd.mods.registrar.sockets import Sockets
from openserd.parser.qvalue import MAX_Q
from openserd.parser.uri import parse_uri
from openserd.script.variables.named import avp_param, parse_avp_aliases

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg
    from openserd.mods.usrloc.binding import Binding
    from openserd.mods.usrloc.location import Location

ERROR: Final = -3
STREAMS: Final = ("tcp", "tls")
STREAM_MARGIN: Final = 10  #: seconds that a connection outlives the bindings made through it


class Registrar(Module):
    """The registrar. Needs usrloc and sl."""

    name = "registrar"
    requires = ("usrloc", "sl")

    default_expires: int = param(3600, check=not_negative)  #: seconds, where the REGISTER names none
    min_expires: int = param(60, check=not_negative)  #: seconds; less is raised to it, 0 off
    max_expires: int = param(0, check=not_negative)  #: seconds; more is lowered to it, 0 off
    default_q: int = param(NO_Q)  #: thousandths, for contacts without q; -1 leaves it unspecified
    max_contacts: int = param(0, check=not_negative)  #: most bindings of an AoR, 0 off
    retry_after: int = param(0, check=not_negative)  #: seconds in Retry-After of 5xx replies, 0 off
    case_sensitive: int = param(0)  #: 1: Alice and alice are two users
    realm_prefix: str = param("")  #: taken off the host of an AoR, such as "sip."
    aor_avp: str = param("")  #: AVP with a URI to take the AoR from, such as "$avp(s:aor)"
    append_branches: int = param(1)  #: 0: lookup() takes the first contact only
    method_filtering: int = param(0)  #: 1: lookup() leaves out contacts that do not take the request's method
    received_avp: str = param("")  #: AVP with the URI that the REGISTER came from, such as "$avp(i:42)"
    received_param: str = param("received")  #: parameter of Contact that shows this URI in replies
    sock_flag: int = param(-1, check=between(-1, 31))  #: message flag that enables `sock_hdr_name`, -1 none
    sock_hdr_name: str = param("")  #: header field that names the listener the REGISTER came in by
    tcp_persistent_flag: int = param(-1, check=between(-1, 31))  #: message flag: keep the connection, -1 none
    use_path: int = param(0)  #: 1: Path header fields are stored and used
    path_mode: int = param(2, check=between(0, 2))  #: Path in replies: 0 no, 1 if supported, 2 or 420 if not
    path_use_received: int = param(0)  #: 1: the `received` parameter of the first Path URI counts

    accepted_regs = stat("accepted_regs")  #: REGISTERs carried out
    rejected_regs = stat("rejected_regs")  #: REGISTERs refused
    max_expires_stat = stat("max_expires", computed=True)  #: the parameter
    max_contacts_stat = stat("max_contacts", computed=True)  #: the parameter
    default_expire_stat = stat("default_expire", computed=True)  #: the parameter default_expires

    functions = {
        "save": Fn(
            Fixup("domain", "fix_domain"),
            Int("flags", lo=0, hi=3, optional=True),
            routes=REQUEST,
            on_error=STOP,
        ),
        "lookup": Fn(Fixup("domain", "fix_domain"), routes=REQUEST | FAILURE, on_error=ERROR),
        "registered": Fn(Fixup("domain", "fix_domain"), routes=REQUEST | FAILURE),
        "unregister": Fn(Fixup("domain", "fix_domain"), PvStr("uri"), routes=REQUEST | FAILURE),
        "add_sock_hdr": Fn(Str("name"), routes=REQUEST),
    }

    location: "Location"
    aors: AorRules
    sockets: Sockets
    saver: Saver
    finder: Finder

    def __init__(self, **values: int | str) -> None:
        super().__init__(**values)
        self.tables: list[bytes] = []

    def on_init(self, core: "Core") -> None:
        """Binds to usrloc and sl; makes of the parameters what the functions work with."""
        self.location = core.require("usrloc")
        self.sl: Any = core.require("sl")
        for table in self.tables:
            self.location.register_domain(table)
        self.sockets = Sockets(core.listening)
        aliases = parse_avp_aliases(core.params.avp_aliases or "")
        self.aors = AorRules(
            use_domain=self.location.use_domain, case_sensitive=bool(self.case_sensitive),
            realm_prefix=self.realm_prefix.encode(), aor_avp=avp_param(self.aor_avp, aliases),
        )  # fmt: skip
        self.saver = Saver(
            self.location, self.aors, self.reader(avp_param(self.received_avp, aliases)),
            max_contacts=self.max_contacts, retry_after=self.retry_after, path_mode=self.path_mode,
            received_param=self.received_param.encode(),
        )  # fmt: skip
        self.finder = Finder(
            self.sockets,
            append_branches=bool(self.append_branches),
            method_filtering=bool(self.method_filtering),
        )

    def reader(self, received_avp: tuple[Name, int] | None) -> ContactReader:
        """What reads contacts. OpenSER: flag and name of the socket header count together or not at all."""
        has_header = self.sock_flag >= 0 and bool(self.sock_hdr_name)
        q = self.default_q if self.default_q == NO_Q else min(max(self.default_q, 0), MAX_Q)
        terms = Terms(self.default_expires, self.min_expires, self.max_expires, q)
        return ContactReader(
            self.location.binding,
            terms,
            self.sockets,
            received_avp=received_avp,
            sock_flag=1 << self.sock_flag if has_header else 0,
            sock_hdr_name=self.sock_hdr_name.encode(),
            use_path=bool(self.use_path),
            path_use_received=bool(self.path_use_received),
            nat_bflag=self.location.nat_bflag,
        )

    def fix_domain(self, text: str) -> bytes:
        """The name of a location table, made known to usrloc."""
        if not text.strip():
            raise ConfigError("a location table needs a name", expected='a name such as "location"')
        table = text.strip().encode()
        self.tables.append(table)
        if hasattr(self, "location"):
            self.location.register_domain(table)
        return table

    # -- script functions -----------------------------------------------------------------------------------

    def save(self, msg: "SipMsg", domain: bytes, flags: int = 0) -> int:
        """Carries out a REGISTER and answers it, unless flag 0x02 is given; 0x01 keeps it out of databases.

        1 carried out, 0 refused and answered so, -1 carried out but the reply could not be sent.
        """
        code, reason, headers, wanted = self.saver.save(msg, domain, flags)
        is_saved = code == 200
        (self.accepted_regs if is_saved else self.rejected_regs).bump()
        if wanted and self.tcp_persistent_flag >= 0:
            self.keep_connection(msg, wanted)
        if flags & SAVE_NO_REPLY:
            return OK if is_saved else STOP
        msg.reply_headers += headers
        is_sent = self.sl.reply(msg, code, reason)
        return STOP if not is_saved else OK if is_sent else FALSE

    def lookup(self, msg: "SipMsg", domain: bytes) -> int:
        """Sends the request to the contacts of the AoR in its request URI.

        1 found, -1 nobody is registered, -2 no contact takes the method, -3 the request URI is no AoR, or the
        database (usrloc's db_mode 3) does not answer.
        """
        try:
            bindings = self.location.get(domain, self.aors.of(msg, msg.ruri))
        except (SipError, ResourceError):
            return ERROR
        return self.finder.apply(msg, bindings, int(msg.received_at))

    def registered(self, msg: "SipMsg", domain: bytes) -> int:
        """1 when the AoR in the request URI has a valid contact, -1 when not, or when the database (usrloc's
        db_mode 3) does not answer."""
        try:
            bindings = self.location.get(domain, self.aors.of(msg, msg.ruri))
        except (SipError, ResourceError):
            return FALSE
        return OK if is_registered(bindings, int(msg.received_at)) else FALSE

    def unregister(self, msg: "SipMsg", domain: bytes, uri: bytes) -> int:
        """1 the AoR that `uri` names has no contact any more. Ours, as in OpenSER 1.3.

        -1 it is no AoR, or the database (usrloc's db_mode 3) does not answer.
        """
        try:
            aor = self.aors.normal(uri)
            if aor:
                self.location.delete(domain, aor, int(msg.received_at))
        except (SipError, ResourceError):
            return FALSE
        return OK if aor else FALSE

    def add_sock_hdr(self, msg: "SipMsg", name: bytes) -> int:
        """Adds a header field with the listener that the request came in by, for the registrar behind."""
        msg.add_header(name, self.sockets.text(msg.listener))
        return OK

    def keep_connection(self, msg: "SipMsg", wanted: "list[Binding]") -> None:
        """Has the connection of a REGISTER kept as long as those of its contacts that a stream reaches."""
        if not msg.flags & 1 << self.tcp_persistent_flag or msg.listener.proto not in STREAMS:
            return
        expires = [binding.expires for binding in wanted if is_stream(binding.uri)]
        if expires:
            msg.listener.keep(msg.source, max(0, max(expires) - int(msg.received_at)) + STREAM_MARGIN)

    # -- statistics -----------------------------------------------------------------------------------------

    def stat_max_expires_stat(self) -> int:
        """The parameter max_expires."""
        return self.max_expires

    def stat_max_contacts_stat(self) -> int:
        """The parameter max_contacts."""
        return self.max_contacts

    def stat_default_expire_stat(self) -> int:
        """The parameter default_expires."""
        return self.default_expires


def is_stream(uri: bytes) -> bool:
    """Whether a contact is reached over TCP or TLS."""
    try:
        parsed = parse_uri(uri)
    except SipError:
        return False
    return parsed.scheme == b"sips" or (parsed.param(b"transport") or b"").lower() in (b"tcp", b"tls")
