"""uri: questions about URIs, and small changes of the request URI (what needs no database)."""

import re
from typing import Final, Protocol

from openserd.core.message import SipMsg
from openserd.core.module import FAILURE, FALSE, OK, REQUEST, Fn, Module, PvName, Str, Value
from openserd.errors import SipError
from openserd.parser.uri import TEL, parse_uri
from openserd.script.variables.variable import Variable

E164: Final = re.compile(rb"\+[0-9]{2,15}")


class AuthorizedUser(Protocol):
    """What a module that checks credentials publishes as "auth" for others."""

    def authorized_user(self, msg: SipMsg) -> bytes | None:
        """The user name of the credentials that have been found right for this request, None before that."""


class UriModule(Module):
    name = "uri"
    functions = {
        "is_user": Fn(Str("user"), routes=REQUEST),
        "has_totag": Fn(routes=REQUEST),
        "uri_param": Fn(Str("name"), Str("value", optional=True), routes=REQUEST),
        "add_uri_param": Fn(Str("name=value"), routes=REQUEST),
        "tel2sip": Fn(routes=REQUEST),
        "is_uri_user_e164": Fn(PvName("variable"), routes=REQUEST | FAILURE),
    }

    def is_user(self, msg: SipMsg, user: bytes) -> int:
        """1 the request's checked credentials are that user's, -1 another's, or none have been checked."""
        auth: AuthorizedUser | None = self.core.published.get("auth")  # type: ignore[assignment]
        found = auth.authorized_user(msg) if auth is not None else None
        return OK if found and found == user else FALSE

    def has_totag(self, msg: SipMsg) -> int:
        """1 To has a tag, -1 not: the request begins a dialog or stands alone."""
        return OK if msg.to_tag else FALSE

    def uri_param(self, msg: SipMsg, name: bytes, value: bytes | None = None) -> int:
        """1 the request URI has the parameter, with exactly that value or, where none is given, without one; -1 not."""
        found = msg.uri.param(name)
        return OK if found is not None and found == (value or b"") else FALSE

    def add_uri_param(self, msg: SipMsg, param: bytes) -> int:
        """1 the request URI has got a parameter at the end of those it has, -1 that would make it no URI."""
        if not param:
            return OK
        uri, question, headers = msg.ruri.partition(b"?")
        return put(msg, b"%b;%b%b%b" % (uri, param, question, headers))

    def tel2sip(self, msg: SipMsg) -> int:
        """1 a tel request URI has become a SIP URI at the host of From, or it was none; -1 From names no host."""
        uri = msg.uri
        if uri.scheme != TEL:
            return OK
        host = parse_uri(msg.from_.uri).host
        if not host:
            return FALSE
        return put(msg, b"sip:%b@%b;user=phone" % (uri.opaque, host))

    def is_uri_user_e164(self, msg: SipMsg, variable: Variable) -> int:
        """1 the user of the URI in the variable is + and 2 to 15 digits, -1 not, or it holds no URI."""
        value: Value = variable.get(msg)
        if not isinstance(value, bytes):
            return FALSE
        return OK if E164.fullmatch(parse_uri(value).user or b"") else FALSE


def put(msg: SipMsg, uri: bytes) -> int:
    """1 `uri` is the request URI now, -1 it is none."""
    try:
        parse_uri(uri)
    except SipError:
        return FALSE
    msg.set_ruri(uri)
    return OK
