"""Pseudo-variables of header fields that hold addresses, and of credentials.

The rule of OpenSER 1.2 for an address: no such header field, or one that cannot be read, and the variable is
absent; the field is there but has no such part, and it is empty.
"""

from typing import TYPE_CHECKING, Final

from openserd.core.arguments import Value
from openserd.parser import names
from openserd.parser.digest import Credentials
from openserd.parser.nameaddr import NameAddr
from openserd.parser.uri import parse_uri
from openserd.script.variables.variable import Definition, reading

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

NO_CREDENTIALS: Final = frozenset((b"ACK", b"CANCEL"))


def user_of(address: NameAddr) -> bytes:
    """The user of an address, empty where its URI has none. Raises SipError."""
    return parse_uri(address.uri).user or b""


def domain_of(address: NameAddr) -> bytes:
    """The host of an address, empty where its URI has none. Raises SipError."""
    return parse_uri(address.uri).host


@reading
def from_uri(msg: "SipMsg") -> Value:
    """$fu: the URI of From."""
    return msg.from_.uri


@reading
def from_user(msg: "SipMsg") -> Value:
    """$fU: the user in From."""
    return user_of(msg.from_)


@reading
def from_domain(msg: "SipMsg") -> Value:
    """$fd: the host in From."""
    return domain_of(msg.from_)


@reading
def from_name(msg: "SipMsg") -> Value:
    """$fn: the display name in From as received, quotes included."""
    return msg.from_.display


@reading
def from_tag(msg: "SipMsg") -> Value:
    """$ft: the tag of From."""
    return msg.from_tag or b""


@reading
def to_uri(msg: "SipMsg") -> Value:
    """$tu: the URI of To."""
    return msg.to.uri


@reading
def to_user(msg: "SipMsg") -> Value:
    """$tU: the user in To."""
    return user_of(msg.to)


@reading
def to_domain(msg: "SipMsg") -> Value:
    """$td: the host in To."""
    return domain_of(msg.to)


@reading
def to_name(msg: "SipMsg") -> Value:
    """$tn: the display name in To as received, quotes included."""
    return msg.to.display


@reading
def to_tag(msg: "SipMsg") -> Value:
    """$tt: the tag of To."""
    return msg.to_tag or b""


def first_uri(msg: "SipMsg", header: int) -> bytes | None:
    """The URI of the first address in a header field. Raises SipError."""
    addresses = msg.addresses(header)
    return addresses[0].uri if addresses else None


@reading
def asserted_identity(msg: "SipMsg") -> Value:
    """$ai: the first URI of P-Asserted-Identity."""
    return first_uri(msg, names.P_ASSERTED_IDENTITY)


@reading
def diversion(msg: "SipMsg") -> Value:
    """$di: the URI of the last diversion, the first in Diversion."""
    return first_uri(msg, names.DIVERSION)


@reading
def remote_party(msg: "SipMsg") -> Value:
    """$re: the URI of Remote-Party-ID."""
    return first_uri(msg, names.REMOTE_PARTY_ID)


@reading
def refer_to(msg: "SipMsg") -> Value:
    """$rt: the URI of Refer-To."""
    return first_uri(msg, names.REFER_TO)


@reading
def preferred_uri(msg: "SipMsg") -> Value:
    """$pu: the URI of P-Preferred-Identity."""
    return first_uri(msg, names.P_PREFERRED_IDENTITY)


@reading
def preferred_user(msg: "SipMsg") -> Value:
    """$pU: the user in P-Preferred-Identity."""
    addresses = msg.addresses(names.P_PREFERRED_IDENTITY)
    return user_of(addresses[0]) if addresses else None


@reading
def preferred_domain(msg: "SipMsg") -> Value:
    """$pd: the host in P-Preferred-Identity."""
    addresses = msg.addresses(names.P_PREFERRED_IDENTITY)
    return domain_of(addresses[0]) if addresses else None


@reading
def preferred_name(msg: "SipMsg") -> Value:
    """$pn: the display name in P-Preferred-Identity as received."""
    addresses = msg.addresses(names.P_PREFERRED_IDENTITY)
    return addresses[0].display if addresses else None


def credentials(msg: "SipMsg") -> Credentials | None:
    """The first Digest credentials, those for a proxy before others. Raises SipError.

    OpenSER: ACK and CANCEL count as having none.
    """
    if msg.method in NO_CREDENTIALS:
        return None
    for header in (names.PROXY_AUTHORIZATION, names.AUTHORIZATION):
        for given in msg.credentials(header):
            if given.is_digest:
                return given
    return None


@reading
def auth_user(msg: "SipMsg") -> Value:
    """$au: the user name of the credentials without a domain."""
    given = credentials(msg)
    return b"" if given is None else (given.username or b"").partition(b"@")[0]


@reading
def auth_realm(msg: "SipMsg") -> Value:
    """$ar: the realm of the credentials."""
    given = credentials(msg)
    return b"" if given is None else given.realm or b""


@reading
def account_user(msg: "SipMsg") -> Value:
    """$Au: whom to charge: user@realm of the credentials, otherwise the From URI."""
    given = credentials(msg)
    user = (given.username or b"").partition(b"@")[0] if given else b""
    if not user or given is None:
        return msg.from_.uri
    return b"%b@%b" % (user, given.realm) if given.realm else user


VARIABLES: Final = {
    "ai": Definition(asserted_identity),
    "ar": Definition(auth_realm),
    "au": Definition(auth_user),
    "Au": Definition(account_user),
    "di": Definition(diversion),
    "fd": Definition(from_domain, aliases=("from.domain",)),
    "fn": Definition(from_name),
    "ft": Definition(from_tag),
    "fu": Definition(from_uri, aliases=("from",)),
    "fU": Definition(from_user, aliases=("from.user",)),
    "pd": Definition(preferred_domain),
    "pn": Definition(preferred_name),
    "pu": Definition(preferred_uri),
    "pU": Definition(preferred_user),
    "re": Definition(remote_party),
    "rt": Definition(refer_to),
    "td": Definition(to_domain, aliases=("to.domain",)),
    "tn": Definition(to_name),
    "tt": Definition(to_tag),
    "tu": Definition(to_uri, aliases=("to",)),
    "tU": Definition(to_user, aliases=("to.user",)),
}
