"""Core functions on the destination of a request: request URI, destination URI, branches."""

from typing import TYPE_CHECKING, Final

from openserd.core import ruri, serial_forking
from openserd.core.arguments import Int, Str, Uri
from openserd.core.destinations import append_branch
from openserd.core.module import ANY_ROUTE, FAILURE, FALSE, OK, REQUEST, Fn
from openserd.script.commands.command import Command, Function, PortArg, PreferenceArg, by_name, plain

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg


def add_branch(msg: "SipMsg", uri: bytes | None = None, q: int | None = None) -> int:
    """append_branch: 1, -1 when the destination set is full."""
    return OK if append_branch(msg, uri, q) else FALSE


def rewrite_uri(msg: "SipMsg", uri: bytes) -> int:
    """rewriteuri: 1."""
    msg.set_ruri(uri)
    return OK


def rewrite_host(msg: "SipMsg", host: bytes) -> int:
    """rewritehost: 1, -1 where the request URI has no host or would be none."""
    return OK if ruri.set_host(msg, host) else FALSE


def rewrite_host_port(msg: "SipMsg", text: bytes) -> int:
    """rewritehostport: 1, -1 where the request URI has no host or would be none."""
    return OK if ruri.set_host_and_port(msg, text) else FALSE


def rewrite_port(msg: "SipMsg", port: int) -> int:
    """rewriteport: 1, -1 where the request URI has no host."""
    return OK if ruri.set_port(msg, port) else FALSE


def rewrite_user(msg: "SipMsg", user: bytes) -> int:
    """rewriteuser: 1, -1 where the request URI has no user part or would be none."""
    return OK if ruri.set_user(msg, user) else FALSE


def rewrite_user_pass(msg: "SipMsg", text: bytes) -> int:
    """rewriteuserpass: 1, -1 where the request URI has no user part or would be none."""
    return OK if ruri.set_user_and_password(msg, text) else FALSE


def prefix(msg: "SipMsg", text: bytes) -> int:
    """prefix: 1, -1 where the request URI has no user part or would be none."""
    return OK if ruri.add_prefix(msg, text) else FALSE


def strip(msg: "SipMsg", n_chars: int) -> int:
    """strip: 1, -1 where the request URI has no user part."""
    return OK if ruri.strip_user(msg, n_chars) else FALSE


def strip_tail(msg: "SipMsg", n_chars: int) -> int:
    """strip_tail: 1, -1 where the request URI has no user part."""
    return OK if ruri.strip_user(msg, 0, n_chars) else FALSE


def revert_uri(msg: "SipMsg") -> int:
    """revert_uri: 1."""
    ruri.revert(msg)
    return OK


def set_dst_uri(msg: "SipMsg", uri: bytes) -> int:
    """setdsturi: 1."""
    msg.dst_uri = uri
    return OK


def reset_dst_uri(msg: "SipMsg") -> int:
    """resetdsturi: 1."""
    msg.dst_uri = None
    return OK


def is_dst_uri_set(msg: "SipMsg") -> int:
    """isdsturiset: 1 set, -1 not."""
    return OK if msg.dst_uri else FALSE


def serialize_branches(msg: "SipMsg", clean_before: int) -> int:
    """serialize_branches: 1, whether or not there was anything to put in order."""
    serial_forking.serialize_branches(msg, bool(clean_before))
    return OK


def next_branches(core: "Core") -> Function:
    """next_branches: 1, -1 when no more are stored or the destination set is full."""

    def take_next(msg: "SipMsg") -> int:
        replace = msg.route_kind != FAILURE
        return OK if serial_forking.next_branches(msg, core.listeners, replace_ruri=replace) else FALSE

    return take_next


COMMANDS: Final = by_name(
    Command(
        "append_branch",
        (),
        Fn(Uri("uri", optional=True), PreferenceArg("q", optional=True), routes=ANY_ROUTE),
        plain(add_branch),
    ),
    Command("isdsturiset", ("isduriset",), Fn(routes=ANY_ROUTE), plain(is_dst_uri_set)),
    Command("next_branches", (), Fn(routes=REQUEST | FAILURE), next_branches),
    Command("prefix", (), Fn(Str("text"), routes=ANY_ROUTE), plain(prefix)),
    Command("resetdsturi", ("resetduri",), Fn(routes=ANY_ROUTE), plain(reset_dst_uri)),
    Command("revert_uri", (), Fn(routes=ANY_ROUTE), plain(revert_uri)),
    Command("rewritehost", ("sethost", "seth"), Fn(Str("host"), routes=ANY_ROUTE), plain(rewrite_host)),
    Command(
        "rewritehostport", ("sethostport", "sethp"), Fn(Str("host[:port]"), routes=ANY_ROUTE), plain(rewrite_host_port)
    ),
    Command("rewriteport", ("setport", "setp"), Fn(PortArg("port"), routes=ANY_ROUTE), plain(rewrite_port)),
    Command("rewriteuri", ("seturi",), Fn(Uri("uri"), routes=ANY_ROUTE), plain(rewrite_uri)),
    Command("rewriteuser", ("setuser", "setu"), Fn(Str("user"), routes=ANY_ROUTE), plain(rewrite_user)),
    Command(
        "rewriteuserpass",
        ("setuserpass", "setup"),
        Fn(Str("user[:password]"), routes=ANY_ROUTE),
        plain(rewrite_user_pass),
    ),
    Command("serialize_branches", (), Fn(Int("clean_before", lo=0, hi=1), routes=ANY_ROUTE), plain(serialize_branches)),
    Command("setdsturi", ("setduri",), Fn(Uri("uri"), routes=ANY_ROUTE), plain(set_dst_uri)),
    Command("strip", (), Fn(Int("n_chars", lo=0), routes=ANY_ROUTE), plain(strip)),
    Command("strip_tail", (), Fn(Int("n_chars", lo=0), routes=ANY_ROUTE), plain(strip_tail)),
)
