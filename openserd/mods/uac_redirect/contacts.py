"""The contacts of 3xx replies, in the order in which they are tried."""

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from openserd.errors import ConfigError, SipError
from openserd.mods.uac_redirect.filters import Decision

if TYPE_CHECKING:
    from openserd.parser.message import Message

log = logging.getLogger("openserd")

MAX_CONTACTS: Final = 16  #: of one reply
DEFAULT_Q: Final = 10  #: thousandths, of a contact without q
MAX_LIMIT: Final = 255


class Contact(NamedTuple):
    """One contact; `q` in thousandths."""

    uri: bytes
    q: int


class Limits(NamedTuple):
    """How many contacts are taken in all, and how many of one reply; 0 for any number."""

    total: int
    each: int

    def room(self, n_taken: int) -> int | None:
        """How many can be taken of the next reply, None for any number."""
        rooms = [self.total - n_taken] if self.total else []
        rooms += [self.each] if self.each else []
        return min(rooms, default=None)


def parse_limits(text: str) -> Limits:
    """`total[:each]`, each a number or `*`. Raises ConfigError."""
    total, _, each = text.strip().partition(":")
    return Limits(limit(total), limit(each or "*"))


def limit(text: str) -> int:
    """One limit. Raises ConfigError."""
    word = text.strip()
    if word == "*":
        return 0
    if not word.isdigit() or int(word) > MAX_LIMIT:
        raise ConfigError(f"'{text}' is no limit", expected=f"a number from 0 to {MAX_LIMIT}, or *")
    return int(word)


def contacts_of(reply: "Message", decision: Decision) -> list[Contact]:
    """The contacts of a reply that are accepted, highest q first; those that cannot be read are passed over.

    OpenSER sorts them the other way, lowest q first, which is not what its manual says.
    """
    try:
        found = reply.contacts
    except SipError as error:
        log.error("uac_redirect: the contacts of a %d cannot be read: %s", reply.status, error)
        return []
    contacts = []
    for address in found:
        if not decision.accepts(address.uri):
            continue
        try:
            q = address.q
        except SipError:
            log.error("uac_redirect: a contact has a malformed q")
            continue
        contacts.append(Contact(address.uri, DEFAULT_Q if q is None else q))
    return sorted(contacts, key=lambda contact: -contact.q)[:MAX_CONTACTS]
