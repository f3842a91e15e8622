"""auth: digest authentication: challenges, and what all ways of knowing a password share (OpenSER: modules/auth).

digest.py        from password to response
nonce.py         nonces, made and known again
replay.py        which nonces have been used, shared by all processes
challenge.py     the header lines of a challenge
credentials.py   what a request presents, and what has been found right
service.py       what other modules work with
rpid.py          Remote-Party-ID
"""

import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

from openserd.core.module import (
    BRANCH,
    FAILURE,
    FALSE,
    OK,
    REQUEST,
    STOP,
    Every,
    Fn,
    Int,
    Module,
    PvStr,
    Str,
    between,
    not_negative,
    param,
    positive,
)
from openserd.errors import SipError
from openserd.mods.auth.challenge import (
    PROXY,
    WWW,
    Challenger,
    check_algorithms,
    check_qop,
    parse_algorithms,
    parse_qop,
)
from openserd.mods.auth.credentials import is_stale
from openserd.mods.auth.digest import MD5, calc_ha1
from openserd.mods.auth.nonce import Nonces
from openserd.mods.auth.replay import History
from openserd.mods.auth.rpid import HEADER, is_e164
from openserd.mods.auth.service import NEVER_CHALLENGED, Authentication
from openserd.parser import names
from openserd.script.variables.named import avp_param

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

SECRET_BYTES: Final = 32
SWEEP_SECONDS: Final = 15


class Auth(Module):
    """Digest authentication. Needs sl. It publishes an `Authentication` by the name auth."""

    name = "auth"
    requires = ("sl",)

    secret: str = param("")  #: what nonces are signed with; made by chance at each start where it is empty
    nonce_expire: int = param(300, check=positive)  #: seconds that a nonce is good for
    realm_prefix: str = param("")  #: taken off a realm that is made of To or From, such as "sip."
    rpid_avp: str = param("$avp(s:rpid)")  #: AVP with the Remote-Party-ID of the user
    rpid_prefix: str = param("")  #: what append_rpid_hf() puts before it
    rpid_suffix: str = param(";party=calling;id-type=subscriber;screen=yes")  #: what it puts behind it
    algorithms: str = param("MD5", check=check_algorithms)  #: ours: what challenges offer, the preferred one first
    qop: str = param("auth", check=check_qop)  #: ours: what challenges with qop offer: auth, auth-int or both
    one_time_nonce: int = param(0, check=between(0, 1))  #: ours: 1 refuses credentials that have been used before
    #: ours: nonces whose use is remembered at a time; when there are more, the oldest count as expired
    max_nonces: int = param(65_536, check=between(64, 16_777_216))
    #: ours: seconds in which the very request that was accepted is accepted again from its address, 0 never
    retransmission_window: int = param(32, check=not_negative)

    functions = {
        "www_challenge": Fn(PvStr("realm"), Int("qop", lo=0, hi=65_535), routes=REQUEST),
        "proxy_challenge": Fn(PvStr("realm"), Int("qop", lo=0, hi=65_535), routes=REQUEST),
        "pv_www_authenticate": Fn(PvStr("realm"), PvStr("password"), Int("flags", lo=0, hi=1), routes=REQUEST),
        "pv_proxy_authenticate": Fn(PvStr("realm"), PvStr("password"), Int("flags", lo=0, hi=1), routes=REQUEST),
        "consume_credentials": Fn(routes=REQUEST),
        "is_rpid_user_e164": Fn(routes=REQUEST),
        "append_rpid_hf": Fn(
            Str("prefix", optional=True),
            Str("suffix", optional=True),
            routes=REQUEST | FAILURE | BRANCH,
            counts=(0, 2),
        ),
    }
    timers = {"nonces": Every(SWEEP_SECONDS)}

    auth: Authentication
    challenger: Challenger

    def on_init(self, core: "Core") -> None:
        """Binds to sl, makes the secret and the shared table, publishes "auth"."""
        secret = self.secret.encode() or secrets.token_bytes(SECRET_BYTES)
        nonces = Nonces(secret, self.nonce_expire, is_unique=bool(self.one_time_nonce))
        algorithms = parse_algorithms(self.algorithms) or [MD5]
        qop = parse_qop(self.qop)
        self.challenger = Challenger(nonces, algorithms, qop)
        self.auth = Authentication(
            core.require("sl"),
            nonces,
            history=self.history(core) if self.one_time_nonce else None,
            realm_prefix=self.realm_prefix.encode(),
            algorithms=algorithms,
            qop=qop,
            rpid_avp=avp_param(self.rpid_avp, core.params.avp_aliases or ""),
        )
        core.publish("auth", self.auth)

    def history(self, core: "Core") -> History:
        """The table of nonces in use."""
        return History(core.memory, self.max_nonces, self.retransmission_window)

    # -- challenges -----------------------------------------------------------------------------------------

    def www_challenge(self, msg: "SipMsg", realm: bytes, qop: int) -> int:
        """Asks for credentials with 401 Unauthorized.

        0 asked, or answered 400 as no realm could be told; -1 the reply could not be sent (an ACK has none).
        """
        return self.challenge(msg, realm, qop != 0, names.AUTHORIZATION)

    def proxy_challenge(self, msg: "SipMsg", realm: bytes, qop: int) -> int:
        """Asks for credentials with 407 Proxy Authentication Required; results as of `www_challenge`."""
        return self.challenge(msg, realm, qop != 0, names.PROXY_AUTHORIZATION)

    def challenge(self, msg: "SipMsg", realm: bytes, has_qop: bool, header: int) -> int:
        """Asks for credentials in `header`."""
        try:
            realm = realm or self.auth.realm(msg, header)
        except SipError as error:
            log.info("auth: no realm for a challenge: %s", error)
            return self.auth.refuse(msg, 400, b"Bad Request")
        is_www = header == names.AUTHORIZATION
        now = int(msg.received_at)
        stale = msg.attachments is not None and is_stale(msg, header)
        msg.reply_headers += self.challenger.lines(WWW if is_www else PROXY, realm, now, has_qop, stale)
        code, reason = (401, b"Unauthorized") if is_www else (407, b"Proxy Authentication Required")
        return STOP if self.auth.sl.reply(msg, code, reason) else FALSE

    # -- passwords that the script knows --------------------------------------------------------------------

    def pv_www_authenticate(self, msg: "SipMsg", realm: bytes, password: bytes, flags: int) -> int:
        """1 the Authorization is that of somebody who knows `password` (ACK and CANCEL always). Ours, as in Kamailio.

        With flag 1, `password` is HA1. -1 there is none, the password is wrong or empty, the nonce is wrong or too old;
        0 answered with 400, as the credentials are malformed.
        """
        return self.authenticate(msg, realm, password, flags != 0, names.AUTHORIZATION)

    def pv_proxy_authenticate(self, msg: "SipMsg", realm: bytes, password: bytes, flags: int) -> int:
        """As `pv_www_authenticate`, for Proxy-Authorization. Ours, as in Kamailio."""
        return self.authenticate(msg, realm, password, flags != 0, names.PROXY_AUTHORIZATION)

    def authenticate(self, msg: "SipMsg", realm: bytes, password: bytes, is_ha1: bool, header: int) -> int:
        """What the credentials in `header` come to, with the password as the script knows it."""
        auth = self.auth
        result, presented = auth.pre_auth(msg, realm, header)
        if presented is None:
            return result
        if not password or presented.algorithm is None:
            return FALSE
        ha1 = password if is_ha1 else calc_ha1(presented.username, presented.realm, password, presented.algorithm)
        return auth.post_auth(msg, presented) if auth.check_response(presented, ha1, msg) else FALSE

    # -- credentials that have been found right -------------------------------------------------------------

    def consume_credentials(self, msg: "SipMsg") -> int:
        """1 the credentials that were found right are taken out of the request as it goes on, -1 there are none."""
        presented = self.auth.authorized(msg)
        if presented is not None:
            msg.remove_lines([presented.line])
            return OK
        if msg.method not in NEVER_CHALLENGED:
            log.error("consume_credentials: no credentials have been found right before")
        return FALSE

    # -- Remote-Party-ID ------------------------------------------------------------------------------------

    def rpid(self, msg: "SipMsg") -> bytes:
        """The text in the AVP `rpid_avp`, b"" where there is none."""
        avp = self.auth.rpid_avp
        value = None if avp is None else msg.avps.get(*avp)
        return value if isinstance(value, bytes) else b""

    def append_rpid_hf(self, msg: "SipMsg", prefix: bytes | None = None, suffix: bytes | None = None) -> int:
        """1 Remote-Party-ID is added: the AVP's text between prefix and suffix; -1 the AVP holds no text."""
        rpid = self.rpid(msg)
        if not rpid or b"\r" in rpid or b"\n" in rpid:
            return FALSE
        before = self.rpid_prefix.encode() if prefix is None else prefix
        after = self.rpid_suffix.encode() if suffix is None else suffix
        msg.add_header(HEADER, before + rpid + after)
        return OK

    def is_rpid_user_e164(self, msg: "SipMsg") -> int:
        """1 the user in the AVP's URI is a + and 2 to 15 digits; -1 not, or there is none."""
        return OK if is_e164(self.rpid(msg)) else FALSE

    # -- timer ----------------------------------------------------------------------------------------------

    def timer_nonces(self) -> None:
        """Drops the nonces that have expired."""
        if self.auth.history is not None:
            self.auth.history.forget(int(time.time()) - 1)
