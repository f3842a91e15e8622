"""Pseudo-variables of the request URI, as it is now and as it was received, and of the destination set.

A reply has no request URI: everything about it is absent there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from openserd.core import ruri
from openserd.core.arguments import Value
from openserd.core.destinations import append_branch, contact_list, format_q, ruri_branch
from openserd.errors import ScriptError, SipError
from openserd.parser.uri import Uri, parse_uri
from openserd.script.variables.variable import Definition, as_bytes, reading

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

DEFAULT_PORT: Final = 5060
DEFAULT_TRANSPORT: Final = b"UDP"


def user(uri: Uri) -> Value:
    """The user part, empty where there is none."""
    return uri.user or b""


def host(uri: Uri) -> Value:
    """The host."""
    return uri.host


def port(uri: Uri) -> Value:
    """The port, 5060 where none is written."""
    return uri.port or DEFAULT_PORT


def transport(uri: Uri) -> Value:
    """The transport parameter, UDP where none is written."""
    return uri.param(b"transport") or DEFAULT_TRANSPORT


Part = Callable[[Uri], Value]


def of_ruri(part: Part) -> Callable[["SipMsg"], Value]:
    """A getter of one part of the current request URI."""
    return reading(lambda msg: part(msg.uri) if msg.is_request else None)


def of_original(part: Part) -> Callable[["SipMsg"], Value]:
    """A getter of one part of the request URI as received."""
    return reading(lambda msg: part(parse_uri(msg.original_ruri)) if msg.is_request else None)


def of_destination(part: Part) -> Callable[["SipMsg"], Value]:
    """A getter of one part of the destination URI, empty where none is set."""
    return reading(lambda msg: part(parse_uri(msg.dst_uri)) if msg.dst_uri else b"")


def request_uri(msg: "SipMsg") -> Value:
    """$ru: the request URI as it is now."""
    return msg.ruri if msg.is_request else None


def original_uri(msg: "SipMsg") -> Value:
    """$ou: the request URI as received."""
    return msg.original_ruri if msg.is_request else None


def destination_uri(msg: "SipMsg") -> Value:
    """$du: where the request goes instead of its request URI."""
    return msg.dst_uri or b""


def set_request_uri(msg: "SipMsg", value: Value) -> None:
    """Replaces the whole request URI."""
    if value is None or not (text := as_bytes(value)):
        raise ScriptError("$ru cannot be emptied")
    msg.set_ruri(text)


def set_user(msg: "SipMsg", value: Value) -> None:
    """Replaces the user of the request URI; null empties it."""
    if not ruri.set_user(msg, b"" if value is None else as_bytes(value)):
        raise ScriptError("$rU cannot be written: no SIP request URI, or a user with forbidden characters")


def set_host(msg: "SipMsg", value: Value) -> None:
    """Replaces the host of the request URI."""
    if value is None or not ruri.set_host(msg, as_bytes(value)):
        raise ScriptError("$rd cannot be written: no SIP request URI, or no host")


def set_destination(msg: "SipMsg", value: Value) -> None:
    """Sets the destination URI; null or an empty text resets it."""
    text = b"" if value is None else as_bytes(value)
    try:
        msg.dst_uri = parse_uri(text).raw if text else None
    except SipError as error:
        raise ScriptError(f"$du cannot be written: {error.reason}") from None


def first_branch(msg: "SipMsg") -> Value:
    """$br: the URI of the first additional branch."""
    return msg.branches[0].uri if msg.is_request and msg.branches else None


def add_branch(msg: "SipMsg", value: Value) -> None:
    """What a module does that writes to $br: one more branch."""
    if value is None or not append_branch(msg, as_bytes(value)):
        raise ScriptError("$br cannot be written: no URI, or too many branches")


def all_branches(msg: "SipMsg") -> Value:
    """$bR: the URIs of all additional branches, `<uri>;q=0.5` where a q is set."""
    if not msg.is_request:
        return None
    return b", ".join(
        branch.uri if branch.q is None else b"<%b>;q=%b" % (branch.uri, format_q(branch.q)) for branch in msg.branches
    )


def destination_set(msg: "SipMsg") -> Value:
    """$ds: the destination set as a Contact header field; the request URI belongs to it once it was
    rewritten."""
    branches = list(msg.branches)
    if msg.ruri != msg.original_ruri:
        branches.insert(0, ruri_branch(msg))
    return b"Contact: " + contact_list(branches) if branches else None


VARIABLES: Final = {
    "br": Definition(first_branch, add_branch, writable=False),
    "bR": Definition(all_branches),
    "dd": Definition(of_destination(host)),
    "dp": Definition(of_destination(port)),
    "dP": Definition(of_destination(transport)),
    "ds": Definition(destination_set),
    "du": Definition(destination_uri, set_destination, aliases=("duri",)),
    "od": Definition(of_original(host)),
    "op": Definition(of_original(port)),
    "oP": Definition(of_original(transport)),
    "ou": Definition(original_uri, aliases=("ouri",)),
    "oU": Definition(of_original(user)),
    "rd": Definition(of_ruri(host), set_host, aliases=("ruri.domain",)),
    "rp": Definition(of_ruri(port)),
    "rP": Definition(of_ruri(transport)),
    "ru": Definition(request_uri, set_request_uri, aliases=("ruri",)),
    "rU": Definition(of_ruri(user), set_user, aliases=("ruri.user",)),
}
