"""Who a question is about: the first argument of group's functions."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from openserd.errors import ConfigError, SipError
from openserd.parser.uri import Uri, parse_uri

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

User = tuple[bytes, bytes]  #: name and domain
Whose = Callable[["SipMsg"], User]  #: raises SipError where there is no user

EXPECTED: Final = "Request-URI, To, From, Credentials or an AVP such as $avp(s:uri)"


def user_of(uri: Uri) -> User:
    """Name and domain in a URI."""
    return uri.user or b"", uri.host


def from_ruri(msg: "SipMsg") -> User:
    """The user of the request URI."""
    return user_of(msg.uri)


def from_to(msg: "SipMsg") -> User:
    """The user of To."""
    return user_of(parse_uri(msg.to.uri))


def from_from(msg: "SipMsg") -> User:
    """The user of From."""
    return user_of(parse_uri(msg.from_.uri))


def from_credentials(core: "Core") -> Whose:
    """The user whose credentials have been found right, and the domain in them or their realm."""

    def whose(msg: "SipMsg") -> User:
        auth: Any = core.published.get("auth")
        presented = auth.authorized(msg) if auth is not None else None
        if presented is None:
            raise SipError("no credentials have been found right before")
        return presented.user, presented.domain

    return whose


def from_variable(variable: Any) -> Whose:
    """The user of the URI in an AVP."""

    def whose(msg: "SipMsg") -> User:
        value = variable.get(msg)
        if not isinstance(value, bytes) or not value:
            raise SipError("the AVP holds no URI")
        return user_of(parse_uri(value))

    return whose


PLACES: Final[dict[str, Whose]] = {"request-uri": from_ruri, "to": from_to, "from": from_from}


def compile_whose(text: str, context: Any) -> Whose:
    """What finds the user for an argument. Raises ConfigError."""
    word = text.strip()
    if word.lower() in PLACES:
        return PLACES[word.lower()]
    if word.lower() == "credentials":
        return from_credentials(context.core)
    if not word.startswith("$avp("):
        raise ConfigError(f"'{text}' is not possible here", expected=EXPECTED)
    return from_variable(context.variable(word))
