"""Destination blacklists: where requests must not be sent to, by address, transport, port and text.

    dst_blacklist = gw : { (udp, 10.0.0.0/8, 5060, ""), !(any, 192.0.2.0/255.255.255.0, 0, "") }
    route { use_blacklist("gw"); ...

A list blocks a destination that any of its rules matches; a rule with `!` matches whatever the same rule without it
does not.  The text of a rule is a pattern of the shell over the whole request; it is held against the request as
received, with the request line of the branch.

A list that a script uses stays in use until its message has been dealt with (OpenSER: until the next top-level route
begins, so that a branch_route makes it forget the lists of its request; not here).
"""

import fnmatch
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from openserd.core.management.mi import Reply
from openserd.errors import ConfigError, SipError

if TYPE_CHECKING:
    from openserd.core.message import SipMsg
    from openserd.core.network.transport import Address
    from openserd.core.params import BlacklistRule

FILTERED: Final = 473
OWNER_CORE: Final = 13  #: OpenSER: BL_CORE_ID
READ_ONLY: Final = 1  #: OpenSER: BL_READONLY_LIST
NEGATED: Final = 1  #: OpenSER: BLR_APPLY_CONTRARY
PROTO_NUMBERS: Final = {None: 0, "udp": 1, "tcp": 2, "tls": 3}

Declared = dict[str, list["BlacklistRule"]]


def network_of(text: str) -> IPv4Network | IPv6Network:
    """`address`, `address/bits` or `address/mask` as a network. Raises ConfigError."""
    try:
        return ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        raise ConfigError(f"{text} is no network", expected="an address, address/bits or address/mask") from None


class Rule:
    """One rule, ready to be asked."""

    def __init__(self, declared: "BlacklistRule") -> None:
        self.declared = declared
        self.network = network_of(declared.network)
        self.pattern = re.compile(fnmatch.translate(declared.pattern).encode()) if declared.pattern else None

    def blocks(self, request: "Outgoing") -> bool:
        """Whether the rule speaks against the request."""
        return self.matches(request) != self.declared.negated

    def matches(self, request: "Outgoing") -> bool:
        """Whether all parts of the rule fit, `!` aside."""
        rule = self.declared
        return (
            rule.port in (0, request.port)
            and rule.proto in (None, request.proto)
            and request.address in self.network
            and (self.pattern is None or self.pattern.match(request.text()) is not None)
        )


class Outgoing:
    """A request on its way to one destination."""

    def __init__(self, msg: "SipMsg", uri: bytes, proto: str, destination: "Address") -> None:
        self.msg = msg
        self.uri = uri
        self.proto = proto
        self.address = ip_address(destination[0].partition("%")[0])
        self.port = destination[1]

    def text(self) -> bytes:
        """What the patterns of rules look at."""
        msg = self.msg
        return b"%b %b SIP/2.0\r\n%b" % (msg.method, self.uri, msg.buf[msg.line_end : msg.end])


class Blacklist:
    """One list: a destination is blocked where any of its rules says so."""

    def __init__(self, name: str, rules: list["BlacklistRule"]) -> None:
        self.name = name
        self.rules = [Rule(rule) for rule in dict.fromkeys(rules)]

    def blocks(self, request: Outgoing) -> bool:
        """Whether the list speaks against the request."""
        return any(rule.blocks(request) for rule in self.rules)


class Blacklists:
    """The lists of a script, and those in use for the message in hand."""

    def __init__(self, declared: Declared) -> None:
        self.lists = {name: Blacklist(name, rules) for name, rules in declared.items()}
        self.message: SipMsg | None = None
        self.used: list[Blacklist] = []

    def named(self, name: str) -> Blacklist:
        """The list of that name. Raises ConfigError."""
        if name not in self.lists:
            known = ", ".join(sorted(self.lists))
            raise ConfigError(
                f"there is no destination blacklist {name}",
                expected=f"one of {known}" if known else "",
                hint="dst_blacklist defines one",
            )
        return self.lists[name]

    def use(self, msg: "SipMsg", blacklist: Blacklist) -> None:
        """Holds `blacklist` against all destinations of `msg` from now on."""
        if self.message is not msg:
            self.message = msg
            self.used = []
        self.used.append(blacklist)

    def check(self, msg: "SipMsg", uri: bytes, proto: str, destination: "Address") -> None:
        """Raises SipError 473 where a list in use blocks the destination of the branch with request URI `uri`."""
        if self.message is not msg:
            return
        request = Outgoing(msg, uri, proto, destination)
        if any(blacklist.blocks(request) for blacklist in self.used):
            raise SipError("Filtered destination", 0, FILTERED)


def list_blacklists(declared: Declared) -> Reply:
    """The lists of the script with their rules."""
    reply = Reply()
    for name, rules in declared.items():
        node = reply.add("List", name, owner=OWNER_CORE, flags=READ_ONLY)
        for rule in dict.fromkeys(rules):
            network = network_of(rule.network)
            child = node.add("Rule", flags=NEGATED if rule.negated else 0)
            child.add("IP", str(network.network_address))
            child.add("Mask", str(network.netmask))
            child.add("Proto", PROTO_NUMBERS[rule.proto])
            child.add("Port", rule.port)
            if rule.pattern:
                child.add("Match", rule.pattern)
    return reply
