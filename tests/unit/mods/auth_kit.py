"""A server that asks for credentials, and a phone that gives them, computed by its own few lines.

with Site(one_time_nonce=1) as site:
    phone = Phone()
    challenge = site.challenge()
    assert site.check(site.request(phone.answer(challenge))) == AUTHORIZED
"""

import hashlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from openserd.core.message import SipMsg
from openserd.core.network.transport import Address
from openserd.core.reply import send_reply
from openserd.mods.auth import Auth
from openserd.mods.auth.service import CHECK, NOT_AUTHORIZED
from openserd.parser import names
from openserd.parser.digest import Challenge, parse_challenge
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory
from tests.support.recording import RecordingListener, call, make_core

NOW = 1_200_000_000
REALM = "example.com"
SOURCE: Address = ("192.0.2.10", 5060)
HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def escaped(value: str) -> str:
    """A value as it stands in quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


class Replies:
    """What auth asks of sl; `works` False sends nothing."""

    def __init__(self, core: Any) -> None:
        self.core = core
        self.works = True

    def reply(self, msg: SipMsg, code: int, reason: bytes) -> bool:
        return self.works and msg.method != b"ACK" and send_reply(self.core, msg, code, reason, b"kit")


class Phone:
    """Answers challenges as RFC 7616 tells it to."""

    def __init__(self, user: str = "alice", password: str = "secret", ha1: str | None = None) -> None:
        self.user = user
        self.password = password
        self.ha1 = ha1

    def answer(
        self,
        challenge: Challenge,
        method: str = "REGISTER",
        uri: str = "sip:example.com",
        *,
        nc: int = 1,
        body: str = "",
        qop: str | None = None,
        changed: Mapping[str, str | None] | None = None,
    ) -> str:
        """The value of an Authorization header field; `changed` replaces fields after the response was computed."""
        name = (challenge.algorithm or b"MD5").decode()
        realm, nonce = (challenge.realm or b"").decode(), (challenge.nonce or b"").decode()
        qop = (challenge.qop or b"").decode().split(",")[0] if qop is None else qop

        def hashed(*parts: str) -> str:
            return hashlib.new(HASHES[name.removesuffix("-sess")], ":".join(parts).encode()).hexdigest()

        ha1 = hashed(self.user, realm, self.password) if self.ha1 is None else self.ha1
        if name.endswith("-sess"):
            ha1 = hashed(ha1, nonce, "0a4f113b")
        ha2 = hashed(method, uri, hashed(body)) if qop == "auth-int" else hashed(method, uri)
        count = (f"{nc:08x}", "0a4f113b", qop) if qop else ()
        fields: dict[str, str | None] = {"username": self.user, "realm": realm, "nonce": nonce, "uri": uri}
        fields["response"] = hashed(ha1, nonce, *count, ha2)
        if challenge.algorithm:
            fields["algorithm"] = name
        if qop:
            fields |= {"qop": qop, "nc": count[0], "cnonce": count[1]}
        fields |= changed or {}
        bare = ("algorithm", "qop", "nc")
        return "Digest " + ", ".join(
            f"{key}={value}" if key in bare else f'{key}="{escaped(value)}"'
            for key, value in fields.items()
            if value is not None
        )


class Site:
    """One server with the module auth, with shared memory, at a time that stands still."""

    def __init__(self, password: str = "secret", megabytes: int = 4, **params: int | str) -> None:
        self.password = password
        self.listener = RecordingListener()
        self.core = make_core(self.listener)
        self.core.shared = SharedMemory(megabytes, 1)
        self.sl = Replies(self.core)
        self.core.publish("sl", self.sl)
        self.module = Auth(**params)
        self.module.core = self.core
        self.module.on_init(self.core)
        self.core.shared.seal()
        self.auth = self.module.auth
        self.now = NOW
        self.cseq = 0

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.core.memory.close()

    def request(
        self,
        authorization: str | None = None,
        method: str = "REGISTER",
        uri: str = "sip:example.com",
        *,
        name: str = "Authorization",
        source: Address = SOURCE,
        to: str = "sip:alice@example.com",
        from_: str = "sip:alice@example.com",
        headers: tuple[str, ...] = (),
        body: str = "",
        cseq: int = 0,
    ) -> SipMsg:
        """A request, each with a CSeq and a Via branch of its own."""
        self.cseq = cseq or self.cseq + 1
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bK{self.cseq}",
            f"From: <{from_}>;tag=1",
            f"To: <{to}>",
            "Call-ID: 1@phone",
            f"CSeq: {self.cseq} {method}",
            *([f"{name}: {authorization}"] if authorization else []),
            *headers,
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        msg = SipMsg("\r\n".join(lines).encode(), source, self.listener)
        msg.clock = float(self.now)
        return msg

    def call(self, name: str, msg: SipMsg, *texts: str) -> int:
        """Calls a script function of auth."""
        return call(self.module, self.core, name, msg, *texts)

    def challenges(self, msg: SipMsg | None = None, realm: str = REALM, qop: str = "1") -> list[Challenge]:
        """What `www_challenge` asks for."""
        assert self.call("www_challenge", msg or self.request(), realm, qop) == 0
        return [parse_challenge(value) for value in self.reply.headers(names.WWW_AUTHENTICATE)]

    def challenge(self, msg: SipMsg | None = None, realm: str = REALM, qop: str = "1") -> Challenge:
        """The first of these."""
        return self.challenges(msg, realm, qop)[0]

    @property
    def reply(self) -> Message:
        """The last reply."""
        return Message(self.listener.sent[-1][0])

    def check(self, msg: SipMsg, realm: str = REALM, header: int = names.AUTHORIZATION) -> int:
        """What a module that knows all passwords to be the same makes of the credentials."""
        result, presented = self.auth.pre_auth(msg, realm.encode(), header)
        if result != CHECK:
            return result
        assert presented is not None and presented.algorithm is not None
        ha1 = self.auth.calc_ha1(presented.username, presented.realm, self.password.encode(), presented.algorithm)
        if not self.auth.check_response(presented, ha1, msg):
            return NOT_AUTHORIZED
        return self.auth.post_auth(msg, presented)
