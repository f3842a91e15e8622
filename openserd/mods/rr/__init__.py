"""rr: Record-Route and Route, by which a proxy stays in the path of a dialog (RFC 3261 section 16)."""

import logging
from typing import TYPE_CHECKING

import regex

from openserd.core.arguments import REGEX_SECONDS
from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, FAILURE, FALSE, OK, REQUEST, Fixup, Fn, Module, PvStr, Regex, param
from openserd.errors import ConfigError
from openserd.mods.rr.loose import LooseRouter, RouteCallback, route_param
from openserd.mods.rr.record import PresetRecordRoute, RecordRoute, add_param, find_record_route, route_user

if TYPE_CHECKING:
    Pattern = regex.Pattern[bytes]

log = logging.getLogger("openserd")


class Rr(Module):
    name = "rr"
    append_fromtag: int = param(1)  #: whether Record-Route carries the From tag, `ftag`
    enable_double_rr: int = param(1)  #: whether two Record-Routes are added between two listeners
    enable_full_lr: int = param(0)  #: whether `lr=on` is written for `lr`
    add_username: int = param(0)  #: whether the user of the request URI is written
    ignore_user: str = param("")  #: Route values with this user are never ours
    functions = {
        "loose_route": Fn(routes=REQUEST),
        "record_route": Fn(PvStr("params", optional=True), routes=REQUEST | FAILURE | BRANCH),
        "record_route_preset": Fn(PvStr("host"), routes=REQUEST | FAILURE | BRANCH),
        "add_rr_param": Fn(PvStr("params"), routes=REQUEST | FAILURE | BRANCH),
        "check_route_param": Fn(Regex("regex"), routes=REQUEST),
        "is_direction": Fn(Fixup("direction", "fix_direction", expects="upstream or downstream"), routes=REQUEST),
    }
    router: LooseRouter

    def on_init(self, core: Core) -> None:
        """Publishes "rr", a `RouteApi`."""
        self.ignored = self.ignore_user.encode()
        self.lr = b";lr=on" if self.enable_full_lr else b";lr"
        self.is_double = bool(self.enable_double_rr)
        self.router = LooseRouter(core, bool(self.enable_double_rr), self.ignored)
        core.publish("rr", RouteApi(self.router))

    def fix_direction(self, text: str) -> object:
        """True for upstream; the direction is known by the From tag in the Route."""
        if not self.append_fromtag:
            raise ConfigError("is_direction() needs the parameter append_fromtag of module rr to be on")
        word = text.strip().lower()
        if word not in ("upstream", "downstream"):
            raise ConfigError(f"'{text}' is no direction", expected="upstream or downstream")
        return word == "upstream"

    def loose_route(self, msg: SipMsg) -> int:
        """1 the request follows its Route, -1 not: none, a malformed one, or only ours outside a dialog."""
        return self.router.route(msg)

    def record_route(self, msg: SipMsg, params: bytes = b"") -> int:
        """1 a Record-Route will be added, -1 there is one already or From is malformed."""
        if find_record_route(msg) is not None:
            log.error("rr: a second Record-Route was asked for")
            return FALSE
        user = route_user(msg, self.ignored) if self.add_username else b""
        tag = msg.from_tag if self.append_fromtag else None
        tail = b"%b;ftag=%b%b" % (self.lr, tag, params) if tag else self.lr + params
        msg.insert_line(RecordRoute(user, tail, msg.rr_params, msg.listener, self.is_double))
        return OK

    def record_route_preset(self, msg: SipMsg, host: bytes) -> int:
        """1 a Record-Route with that address will be added, -1 there is one already or From is malformed."""
        if find_record_route(msg) is not None:
            log.error("rr: a second Record-Route was asked for")
            return FALSE
        user = route_user(msg, self.ignored) if self.add_username else b""
        tag = msg.from_tag if self.append_fromtag else None
        tail = b"%b;ftag=%b%b" % (host, tag, self.lr) if tag else host + self.lr
        msg.insert_line(PresetRecordRoute(user, tail, msg.rr_params, msg.listener, False))
        return OK

    def add_rr_param(self, msg: SipMsg, params: bytes) -> int:
        """1 added to the Record-Route, before or after it is made; -1 more than 512 bytes."""
        return OK if add_param(msg, params) else FALSE

    def check_route_param(self, msg: SipMsg, pattern: "Pattern") -> int:
        """1 the parameters of our own Route value match, -1 not, or no Route was ours."""
        if not msg.own_route:
            return FALSE
        try:
            return OK if pattern.search(msg.own_route, timeout=REGEX_SECONDS) else FALSE
        except TimeoutError:
            log.warning("rr: check_route_param took longer than %s s", REGEX_SECONDS)
            return FALSE

    def is_direction(self, msg: SipMsg, upstream: bool) -> int:
        """1 the request goes that way, -1 the other; without a Route of ours it goes downstream."""
        return OK if is_upstream(msg) == upstream else FALSE


class RouteApi:
    """What other modules use as "rr" (OpenSER: load_rr)."""

    def __init__(self, router: LooseRouter) -> None:
        self.router = router

    def add_rr_param(self, msg: SipMsg, params: bytes) -> bool:
        """Adds parameters, with their ";", to the Record-Route there is or will be; False when too long."""
        return add_param(msg, params)

    def is_upstream(self, msg: SipMsg) -> bool:
        """Whether the request goes from callee to caller of the dialog."""
        return is_upstream(msg)

    def get_route_param(self, msg: SipMsg, name: bytes) -> bytes | None:
        """The value of a parameter of our own Route value, None when absent, b"" when without value."""
        return route_param(msg.own_route, name)

    def register(self, callback: RouteCallback) -> None:
        """Has `callback(msg, params)` told of all that loose_route() routes (OpenSER: register_rrcb)."""
        self.router.callbacks.append(callback)


def is_upstream(msg: SipMsg) -> bool:
    """Whether the From tag is another than the caller's, which our Route value carries."""
    ftag = route_param(msg.own_route, b"ftag")
    return bool(ftag) and bool(msg.from_tag) and msg.from_tag != ftag
