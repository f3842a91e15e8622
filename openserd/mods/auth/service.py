"""What other modules use as "auth": which credentials to check, the check, and what follows from it.

result, presented = auth.pre_auth(msg, realm, names.AUTHORIZATION)
if result != CHECK: return result
ha1 = ...                                                   of the user `presented.user`
if not auth.check_response(presented, ha1, msg): return NOT_AUTHORIZED
return auth.post_auth(msg, presented)
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from openserd.core.module import FALSE, OK, STOP
from openserd.errors import SipError
from openserd.mods.auth import credentials as found
from openserd.mods.auth.credentials import Presented, find, realm_of
from openserd.mods.auth.digest import AUTH, AUTH_INT, MD5, Algorithm, calc_ha1, calc_ha2, calc_response, is_equal
from openserd.mods.auth.nonce import NEVER

if TYPE_CHECKING:
    from openserd.core.avp import Name
    from openserd.core.message import SipMsg
    from openserd.mods.auth.nonce import Nonces
    from openserd.mods.auth.replay import History

log = logging.getLogger("openserd")

#: The results of `pre_auth` and `post_auth` are those of script functions, but for CHECK.
AUTHORIZED: Final = OK
NOT_AUTHORIZED: Final = FALSE
ANSWERED: Final = STOP  #: a reply with an error has been sent
CHECK: Final = 2  #: the credentials are complete and for a nonce of ours

NEVER_CHALLENGED: Final = (b"ACK", b"CANCEL")


class Authentication:
    """Digest authentication without the passwords (OpenSER: auth_api_t).

    `rpid_avp` names the AVP that holds the user's Remote-Party-ID, None where there is none.
    """

    __slots__ = ("algorithms", "calc_ha1", "history", "nonces", "realm_prefix", "rpid_avp", "sl", "takes_auth")

    def __init__(
        self,
        sl: Any,
        nonces: "Nonces",
        *,
        history: "History | None" = None,
        realm_prefix: bytes = b"",
        algorithms: Sequence[Algorithm] = (MD5,),
        qop: Sequence[bytes] = (AUTH,),
        rpid_avp: "tuple[Name, int] | None" = None,
    ) -> None:
        self.sl = sl
        self.nonces = nonces
        self.history = history
        self.realm_prefix = realm_prefix
        self.algorithms = frozenset(algorithms)
        self.takes_auth = AUTH in qop  #: whether protection of the body is not asked for
        self.rpid_avp = rpid_avp
        self.calc_ha1 = calc_ha1

    def realm(self, msg: "SipMsg", header: int) -> bytes:
        """The realm of a request where the script names none. SipError where it cannot be told."""
        return realm_of(msg, header, self.realm_prefix)

    def pre_auth(self, msg: "SipMsg", realm: bytes, header: int) -> tuple[int, Presented | None]:
        """CHECK with the credentials that are to be checked, or the result at once.

        AUTHORIZED for ACK and CANCEL, which cannot be challenged (RFC 3261 section 22.1); ANSWERED where the
        credentials or, without a realm given, the address they belong to are malformed.
        """
        if msg.method in NEVER_CHALLENGED:
            return AUTHORIZED, None
        try:
            presented = find(msg, header, realm or self.realm(msg, header))
            if presented is not None:
                presented.check()
        except SipError as error:
            log.info("auth: credentials are refused: %s", error)
            return self.refuse(msg, 400, b"Bad Request"), None
        # They have to answer a challenge as it is sent here: algorithm, protection and nonce.
        if presented is None or presented.algorithm not in self.algorithms:
            return NOT_AUTHORIZED, None
        if not self.takes_auth and presented.qop != AUTH_INT:
            return NOT_AUTHORIZED, None
        presented.expires = expires = self.nonces.expires(presented.credentials.fields[b"nonce"])
        return (NOT_AUTHORIZED, None) if expires == NEVER else (CHECK, presented)

    def check_response(self, presented: Presented, ha1: bytes, msg: "SipMsg") -> bool:
        """Whether the response is the one that the user's HA1 gives. SipError where the body is cut short."""
        given = presented.credentials.fields
        algorithm = presented.algorithm
        response = given[b"response"].lower()
        if algorithm is None or len(response) != algorithm.digits:
            return False
        body = msg.body if presented.qop == AUTH_INT else None
        ha2 = calc_ha2(msg.method, given[b"uri"], algorithm, body)
        qop, nc, cnonce = given.get(b"qop", b""), given.get(b"nc", b""), given.get(b"cnonce", b"")
        return is_equal(calc_response(ha1, ha2, given[b"nonce"], qop, nc, cnonce, algorithm), response)

    def post_auth(self, msg: "SipMsg", presented: Presented) -> int:
        """What right credentials come to: AUTHORIZED, or NOT_AUTHORIZED where their nonce is too old or has been
        used; the next challenge says `stale=true` then, so that the phone tries again without asking its user."""
        now = int(msg.received_at)
        is_fresh = presented.expires >= now and (self.history is None or self.history.accept(msg, presented, now))
        if not is_fresh:
            found.mark_stale(msg, presented.header)
            return NOT_AUTHORIZED
        found.mark_authorized(msg, presented)
        return AUTHORIZED

    def authorized(self, msg: "SipMsg") -> Presented | None:
        """The credentials that have been found right for this request, None before that."""
        return found.authorized(msg) if msg.attachments is not None else None

    def authorized_user(self, msg: "SipMsg") -> bytes | None:
        """The user of these credentials, without a domain; None before that."""
        presented = self.authorized(msg)
        return None if presented is None else presented.user

    def refuse(self, msg: "SipMsg", code: int, reason: bytes) -> int:
        """Answers the request with an error; ANSWERED."""
        if not self.sl.reply(msg, code, reason):
            log.error("auth: the reply %d was not sent", code)
        return ANSWERED
