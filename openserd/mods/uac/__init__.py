"""uac: another From for a call, and answers to challenges (OpenSER: modules/uac).

scramble.py      how a Record-Route parameter remembers the From that was replaced
fields.py        edits of From and To
credentials.py   who may answer a challenge, and with what
"""

import logging
from typing import TYPE_CHECKING, Any, Final

from openserd.core.module import FAILURE, FALSE, OK, REQUEST, Fn, Module, PvStr, param
from openserd.errors import ConfigError, SipError
from openserd.mods.uac import fields
from openserd.mods.uac.credentials import Credential, answer, credential_check, parse_credential
from openserd.mods.uac.scramble import scramble, unscramble
from openserd.parser import names
from openserd.parser.uri import parse_uri
from openserd.script.variables.named import AvpName, avp_param
from openserd.script.variables.variable import as_bytes

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg
    from openserd.mods.tm.surface.hooks import Event

log = logging.getLogger("openserd")

MODES: Final = ("none", "manual", "auto")
FROM: Final = b"from"
TO: Final = b"to"


def mode_check(value: str) -> str | None:
    """A check: how From is restored."""
    return None if value.lower() in MODES or not value else "none, manual or auto"


class Restorer:
    """Watches transactions whose request has another From or To than was received: their replies get the old one."""

    wants_acks = False

    def reply_in(self, event: "Event") -> None:
        """A reply has come in: the caller shall see what it has sent."""
        if event.reply is not None:
            fields.restore_value(event.reply, event.request, names.TO if event.data == TO else names.FROM)

    def reply_out(self, event: "Event") -> None:
        """A reply has gone out."""

    def completed(self, event: "Event") -> None:
        """The first final reply has gone out."""

    def failure(self, event: "Event") -> None:
        """Every branch has failed."""

    def ack_in(self, event: "Event") -> None:
        """The ACK to a 2xx has come in."""

    def forwarded(self, event: "Event") -> None:
        """A branch is being made."""

    def answered(self, event: "Event") -> None:
        """A request made here has been answered."""


class Uac(Module):
    """What a user agent client does."""

    name = "uac"
    requires = ("tm",)

    from_restore_mode: str = param("", check=mode_check)  #: whether the old From comes back: none, manual, auto (empty)
    rr_store_param: str = param("vsf")  #: Record-Route parameter that remembers it
    from_passwd: bytes = param(b"")  #: password that scrambles it
    credential: list[str] = param([], check=credential_check)  #: user:realm:password, for uac_auth()
    auth_username_avp: str = param("")  #: AVP with a user, such as "$avp(i:11)"; all three or none
    auth_realm_avp: str = param("")  #: AVP with the realm of that user
    auth_password_avp: str = param("")  #: AVP with the password

    functions = {
        "uac_replace_from": Fn(PvStr("display or uri"), PvStr("uri", optional=True), routes=REQUEST),
        "uac_restore_from": Fn(routes=REQUEST),
        "uac_auth": Fn(routes=FAILURE),
    }

    tm: Any
    rr: Any = None

    def on_init(self, core: "Core") -> None:
        """Reads the credentials and binds to tm and, where From is restored, to rr."""
        self.mode = self.from_restore_mode.lower() or "auto"
        self.credentials = [parse_credential(text) for text in reversed(self.credential)]
        self.read_avps(core)
        self.tm = core.require("tm")
        if self.mode == "none":
            return
        if not self.rr_store_param:
            raise ConfigError("uac: rr_store_param is empty", expected='a name, or from_restore_mode "none"')
        self.rr = core.require("rr")
        self.tm.add_watcher("uac", Restorer())
        if self.mode == "auto":
            self.rr.register(self.follow_route)

    def read_avps(self, core: "Core") -> None:
        """The AVPs with a credential. Raises ConfigError where only some are named."""
        texts = (self.auth_username_avp, self.auth_realm_avp, self.auth_password_avp)
        found = [avp_param(text, core.params.avp_aliases or "") for text in texts]
        self.avps: list[AvpName] = [one for one in found if one is not None]
        if len(self.avps) not in (0, len(found)):
            raise ConfigError("uac: auth_username_avp, auth_realm_avp and auth_password_avp go together")

    # -- From ------------------------------------------------------------------------------------------------

    def uac_replace_from(self, msg: "SipMsg", first: bytes, second: bytes | None = None) -> int:
        """1 From will be sent with another URI and, where two texts are given, another display name, empty for none;
        -1 it has no tag, the URI is none, it has been replaced before, or, where it is restored automatically, the
        request belongs to a dialog."""
        display, uri = (None, first) if second is None else (first, second)
        address = msg.from_
        if msg.attached(self.name):
            log.error("uac: From has been replaced before")
            return FALSE
        if uri and not (self.may_replace(msg) and is_uri(uri)):
            return FALSE
        if not msg.from_tag:
            log.error("uac: From has no tag")
            return FALSE
        if uri and not self.remember(msg, address.uri, uri):
            return FALSE
        fields.replace_address(msg, address, display, uri)
        msg.attach(self.name, FROM)
        return OK

    def may_replace(self, msg: "SipMsg") -> bool:
        """Whether the URI may be replaced."""
        if self.mode == "auto" and msg.to_tag:
            log.error("uac: From is not replaced within a dialog when it is restored automatically")
            return False
        return True

    def remember(self, msg: "SipMsg", old: bytes, new: bytes) -> bool:
        """Has Record-Route and the transaction remember the old URI; False where there is no room."""
        if self.mode == "none":
            return True
        value = scramble(old, new, self.from_passwd)
        if not self.rr.add_rr_param(msg, b";%b=%b" % (self.rr_store_param.encode(), value)):
            log.error("uac: Record-Route has no room for the old From")
            return False
        self.watch(msg, FROM)
        return True

    def watch(self, msg: "SipMsg", field: bytes) -> None:
        """Has the replies get the From or To that was received."""
        msg.attach(self.name, field)
        self.tm.watch(msg, self.name, field)

    def uac_restore_from(self, msg: "SipMsg") -> int:
        """1 the From of a request of the caller, or the To of one of the callee, is the other one of the two again; -1
        no Route of this server remembers any, or it has been put back already."""
        return OK if self.rr is not None and self.restore(msg) else FALSE

    def follow_route(self, msg: "SipMsg", params: bytes) -> None:
        """A request within a dialog came by a Route of this server (rr)."""
        self.restore(msg)

    def restore(self, msg: "SipMsg") -> bool:
        """Puts the other URI into From or To; whether there was one."""
        value = self.rr.get_route_param(msg, self.rr_store_param.encode())
        if not value or msg.attached(self.name):
            return False
        is_upstream = self.rr.is_upstream(msg)
        try:
            address = msg.to if is_upstream else msg.from_
            uri = unscramble(value, address.uri, self.from_passwd)
        except SipError as error:
            log.error("uac: From is not restored: %s", error)
            return False
        fields.replace_uri(msg, address, uri)
        self.watch(msg, TO if is_upstream else FROM)
        return True

    # -- authentication --------------------------------------------------------------------------------------

    def uac_auth(self, msg: "SipMsg") -> int:
        """1 the request has credentials for the 401 or 407 that was chosen, and the request URI of its branch; -1 there
        is no such reply, no credential for its realm, or no algorithm that is known."""
        branch = self.tm.picked_branch(msg)
        if branch is None or branch.reply is None:
            log.error("uac: uac_auth needs a 401 or 407 that has come in")
            return FALSE
        line = answer(branch.reply, msg.method, branch.uri, lambda realm: self.find_credential(msg, realm))
        if line is None:
            return FALSE
        msg.set_ruri(branch.uri)
        msg.add_line(line)
        return OK

    def find_credential(self, msg: "SipMsg", realm: bytes) -> Credential | None:
        """The credential for a realm: that of the AVPs first, else the one that was configured last."""
        values = [msg.avps.get(*avp) for avp in self.avps]
        present = [as_bytes(value) for value in values if value is not None and value != b""]
        if len(present) == 3 and present[1] == realm:
            return Credential(*present)
        return next((one for one in self.credentials if one.realm == realm), None)


def is_uri(text: bytes) -> bool:
    """Whether text is a URI; the log says where it is none."""
    try:
        parse_uri(text)
    except SipError:
        log.error("uac: %r is no URI", text)
        return False
    return True
