"""Rewriting the parts of a request URI.

Each function leaves the message alone and answers False where the request URI is no SIP URI or the result
would be none.  What is not rewritten stays: password, port, parameters, headers.  A tel URI that gets a host
becomes a SIP URI (OpenSER: action.c, SET_HOST_T and its kin).  OpenSER writes `sip:` whatever there was; here
sips stays sips.
"""

from typing import TYPE_CHECKING

from openserd.errors import SipError
from openserd.parser.uri import SIP, TEL, Uri, build_uri, parse_uri

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg


def set_user(msg: "SipMsg", user: bytes) -> bool:
    """Replaces the user, keeping the password; an empty one goes with its password."""
    uri = current(msg)
    return uri is not None and put(msg, with_user(uri, user, uri.password))


def set_user_and_password(msg: "SipMsg", text: bytes) -> bool:
    """Replaces user and password by `user[:password]`."""
    uri = current(msg)
    user, colon, password = text.partition(b":")
    return uri is not None and put(msg, with_user(uri, user, password if colon else None))


def set_host(msg: "SipMsg", host: bytes) -> bool:
    """Replaces the host, keeping the port."""
    uri = current(msg)
    return uri is not None and put(msg, with_host(uri, host, uri.port))


def set_host_and_port(msg: "SipMsg", text: bytes) -> bool:
    """Replaces host and port by `host[:port]`; the old port goes where none is given."""
    uri = current(msg)
    host, colon, port = text.rpartition(b":")
    if not colon or b"]" in port:
        host, port = text, b""
    if uri is None or (colon and port and not port.isdigit()):
        return False
    return put(msg, with_host(uri, host, int(port or 0)))


def set_port(msg: "SipMsg", port: int) -> bool:
    """Replaces the port; 0 takes it away."""
    uri = current(msg)
    return uri is not None and put(msg, with_host(uri, uri.host, port))


def add_prefix(msg: "SipMsg", prefix: bytes) -> bool:
    """Puts text in front of the user; it becomes the user where there is none."""
    uri = current(msg)
    return uri is not None and put(msg, with_user(uri, prefix + (uri.user or b""), uri.password))


def strip_user(msg: "SipMsg", n_leading: int, n_trailing: int = 0) -> bool:
    """Cuts characters off the ends of the user; nothing is left of one that is too short."""
    uri = current(msg)
    if uri is None:
        return False
    user = uri.user or b""
    return put(msg, with_user(uri, user[n_leading : max(0, len(user) - n_trailing)], uri.password))


def revert(msg: "SipMsg") -> None:
    """Makes the request URI again what was received."""
    msg.set_ruri(msg.original_ruri)


def drop_own_maddr(core: "Core", msg: "SipMsg") -> None:
    """Takes maddr out of a request URI where it names this server, and the port and transport that led here with it
    (RFC 3261 section 16.4): it has done its work, and would send the request here again."""
    try:
        uri = msg.uri
    except SipError:
        return
    maddr = uri.param(b"maddr") if uri.is_sip else None
    if not maddr or not core.is_myself(maddr, uri.port):
        return
    if (uri.param(b"transport") or b"udp").lower() != msg.listener.proto.encode():
        return
    kept = [(name, value) for name, value in uri.param_list if name not in (b"maddr", b"transport")]
    params = b"".join(b";" + name if value is None else b";%b=%b" % (name, value) for name, value in kept)
    msg.set_ruri(build_uri(uri.scheme, uri.user, uri.password, uri.host, 0, params, uri.headers))


def current(msg: "SipMsg") -> Uri | None:
    """The parsed request URI if its parts can be rewritten."""
    if not msg.ruri:
        return None
    try:
        uri = msg.uri
    except SipError:
        return None
    return uri if uri.is_sip or uri.scheme == TEL else None


def put(msg: "SipMsg", uri: bytes) -> bool:
    """Makes `uri` the request URI if it is one."""
    try:
        parse_uri(uri)
    except SipError:
        return False
    msg.set_ruri(uri)
    return True


def with_user(uri: Uri, user: bytes, password: bytes | None) -> bytes:
    """`uri` with another user."""
    if uri.scheme == TEL:
        return b"tel:%b%b" % (user, uri.params)
    return build_uri(uri.scheme, user, password if user else None, uri.host, uri.port, uri.params, uri.headers)


def with_host(uri: Uri, host: bytes, port: int) -> bytes:
    """`uri` at another host and port."""
    scheme = SIP if uri.scheme == TEL else uri.scheme
    return build_uri(scheme, uri.user, uri.password, host, port, uri.params, uri.headers)
