"""Route processing (RFC 3261 sections 16.4, 16.6 item 6 and 16.12).

What a request brings, and what becomes of it (`own` is a value that names this server, SR a strict router):

    request line   Route                        request line   Route        next hop
    bob            own                          bob            -            bob
    bob            own, proxy;lr                bob            proxy;lr     proxy
    bob            own;r2, own;r2, proxy;lr     bob            proxy;lr     proxy, from the second listener
    bob            own, SR                      SR             bob          SR
    own            SR, bob                      SR             bob          SR     (previous hop strict too)
    own            proxy;lr, bob                bob            proxy;lr     proxy  (previous hop strict)
"""

import logging
import re
from collections.abc import Callable
from typing import Final

from openserd.core.context import Core
from openserd.core.forward import transport_of
from openserd.core.message import SipMsg
from openserd.core.module import FALSE, OK
from openserd.core.network.transport import Listener, sent_by
from openserd.parser import names
from openserd.parser.message import RouteValue
from openserd.parser.uri import Uri, parse_uri

log = logging.getLogger("openserd")

_LOOSE: Final = re.compile(rb";lr(?:[;=]|\Z)", re.IGNORECASE)
_DOUBLE: Final = re.compile(rb";r2(?:[;=]|\Z)", re.IGNORECASE)

#: Told of every request that came by a Route: request, parameters of the value that named this server or b"".
RouteCallback = Callable[[SipMsg, bytes], None]


class LooseRouter:
    """Route processing: `double` understands double Record-Routes, a user `ignored` is never ours."""

    def __init__(self, core: Core, double: bool, ignored: bytes) -> None:
        self.core = core
        self.myself = core.myself
        self.double = double
        self.ignored = ignored
        self.callbacks: list[RouteCallback] = []

    def route(self, msg: SipMsg) -> int:
        """1 the request follows its Route, -1 it has none or a preloaded one ends here. Raises SipError."""
        if names.ROUTE not in msg.layout.first:
            return FALSE
        routes = msg.addresses(names.ROUTE)
        if not routes:
            return FALSE
        first = parse_uri(routes[0].uri)
        is_preloaded = not msg.has_to_tag()
        if not is_preloaded and self.comes_from_strict(msg.uri, first):
            return self.after_strict(msg, routes, first)
        return self.after_loose(msg, routes, first, is_preloaded)

    # -- whose value it is -----------------------------------------------------------------------------

    def is_own(self, uri: Uri) -> bool:
        """Whether a Route value names this server, by its host or by the maddr that led here."""
        if not uri.is_sip or (self.ignored and uri.user == self.ignored):
            return False
        if self.myself.matches(uri.host, uri.port):
            return True
        maddr = uri.param(b"maddr") if uri.params else None
        return bool(maddr) and self.myself.matches(maddr or b"", uri.port)

    def comes_from_strict(self, ruri: Uri, first: Uri) -> bool:
        """Whether the request URI is a Record-Route of ours that a strict router has put there.

        OpenSER takes any own request URI for one.  Where it has no `lr` and the first Route is ours, though,
        the previous hop was loose and the request is for this server itself (a presence dialog).
        """
        return self.is_own(ruri) and (is_loose(ruri) or is_double(first) or not self.is_own(first))

    # -- the previous hop was a loose router -----------------------------------------------------------

    def after_loose(self, msg: SipMsg, routes: list[RouteValue], first: Uri, is_preloaded: bool) -> int:
        """Takes our values off the top; the next one is where the request goes."""
        n_own = 0
        if self.is_own(first):
            msg.own_route = first.params
            n_own = 2 if len(routes) > 1 and self.takes_second(msg, routes[1], first) else 1
        elif self.ignored and first.user == self.ignored:
            return FALSE
        if n_own == len(routes):
            remove_values(msg, routes, n_own)
            if self.callbacks:
                self.tell(msg)
            return FALSE if is_preloaded else OK
        following = parse_uri(routes[n_own].uri) if n_own else first
        if is_loose(following):
            msg.dst_uri = following.raw
            remove_values(msg, routes, n_own)
        else:
            msg.add_line(b"Route: <%b>\r\n" % msg.ruri)
            go_to(msg, following.raw)
            remove_values(msg, routes, n_own + 1)
        self.tell(msg)
        return OK

    def takes_second(self, msg: SipMsg, other: RouteValue, first: Uri) -> bool:
        """Whether `other`, the value after `first`, is the other half of a double Record-Route.

        It then names the listener to send from.
        """
        if not self.double or not is_double(first):
            return False
        second = parse_uri(other.uri)
        if not self.is_own(second):
            return False
        self.send_from(msg, second)
        return True

    # -- the previous hop was a strict router ----------------------------------------------------------

    def after_strict(self, msg: SipMsg, routes: list[RouteValue], first: Uri) -> int:
        """Our value stands in the request line: what it has displaced is the last Route value."""
        msg.own_route = msg.uri.params
        n_own = 0
        following = first
        if self.double and is_double(first) and self.is_own(first):
            self.send_from(msg, first)
            n_own = 1
            if len(routes) == 1:
                remove_values(msg, routes, 1)
                return FALSE
            following = parse_uri(routes[1].uri)
        if is_loose(following):
            msg.set_ruri(routes[-1].uri)
            msg.dst_uri = following.raw
            remove_values(msg, routes, n_own, n_last=1)
        else:
            go_to(msg, following.raw)
            remove_values(msg, routes, n_own + 1)
        self.tell(msg)
        return OK

    # -- consequences ----------------------------------------------------------------------------------

    def send_from(self, msg: SipMsg, uri: Uri) -> None:
        """Has the request leave by the listener that an own Route value names."""
        listener = self.listener_of(uri)
        if listener is None:
            log.warning("rr: no listener for the second Route <%s>", uri.raw.decode("utf-8", "replace"))
        else:
            msg.force_listener = listener

    def listener_of(self, uri: Uri) -> Listener | None:
        """The listener whose address, or advertised address, a URI is."""
        proto = transport_of(uri)
        host = uri.host.decode("latin-1")
        found = self.core.listening.find(proto, host, uri.port)
        if found is not None:
            return found
        written = sent_by(host, uri.port or 5060)
        same = (one for one in self.core.listeners if one.sent_by == written and one.proto == proto)
        return next(same, None)

    def tell(self, msg: SipMsg) -> None:
        """Runs the callbacks of other modules."""
        for callback in self.callbacks:
            callback(msg, msg.own_route or b"")


def is_loose(uri: Uri) -> bool:
    """Whether a Route value is that of a loose router (RFC 3261 section 19.1.1, lr)."""
    return _LOOSE.search(uri.params) is not None


def is_double(uri: Uri) -> bool:
    """Whether a Route value is one of two that this server has added together."""
    return _DOUBLE.search(uri.params) is not None


def go_to(msg: SipMsg, uri: bytes) -> None:
    """Makes `uri`, a strict router or the last target, request URI and next hop."""
    msg.set_ruri(uri)
    msg.dst_uri = None


def remove_values(msg: SipMsg, routes: list[RouteValue], n_first: int, n_last: int = 0) -> None:
    """Takes the first and the last Route values out: whole lines, or values with their comma."""
    if n_first == len(routes):
        msg.remove_lines([routes[0].line] if n_first == 1 else list({value.line: None for value in routes}))
        return
    kept = routes[n_first : len(routes) - n_last]
    removed = routes[:n_first] + routes[len(routes) - n_last :]
    for line in dict.fromkeys(value.line for value in removed):
        here = [value for value in routes if value.line == line]
        staying = [value for value in kept if value.line == line]
        if not staying:
            msg.delete(*msg.line_span(line))
            continue
        if staying[0] is not here[0]:
            msg.delete(here[0].start, staying[0].start)
        if staying[-1] is not here[-1]:
            msg.delete(staying[-1].end, here[-1].end)


def route_param(params: bytes | None, name: bytes) -> bytes | None:
    """The value of one parameter of an own Route: None when absent, b"" when without value."""
    for piece in (params or b"").split(b";"):
        key, _, value = piece.partition(b"=")
        if key.strip() == name:
            return value.strip(b" \t\"'")
    return None
