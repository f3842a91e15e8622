"""From URIs to AoRs (RFC 3261 section 10.3 item 5)."""

import pytest

from openserd.errors import SipError
from openserd.mods.registrar.aor import AorRules
from tests.unit.mods.location_kit import Site


def rules(use_domain: bool = False, case_sensitive: bool = False, realm_prefix: bytes = b"") -> AorRules:
    return AorRules(use_domain=use_domain, case_sensitive=case_sensitive, realm_prefix=realm_prefix, aor_avp=None)


@pytest.mark.conformance("REG-14")
@pytest.mark.parametrize(
    ("uri", "plain", "with_domain"),
    [
        (b"sip:alice@example.com", b"alice", b"alice@example.com"),
        (b"sips:Alice:secret@EXAMPLE.com:5061;transport=tls?x=y", b"alice", b"alice@example.com"),
        (b"sip:%61lice@example.com", b"alice", b"alice@example.com"),
        (b"sip:a%40b@example.com", b"a@b", b"a@b@example.com"),
        (b"sip:%C3%A9@example.com", "é".encode(), "é@example.com".encode()),
        (b"sip:alice@[2001:DB8::1]", b"alice", b"alice@[2001:db8::1]"),
        (b"sip:example.com", b"", b"example.com"),
        (b"tel:+4912345;x=y", b"+4912345", b"+4912345@"),
    ],
)
def test_an_aor_is_the_user_in_plain_lower_case_and_the_domain_where_it_counts(
    uri: bytes, plain: bytes, with_domain: bytes
) -> None:
    assert rules().normal(uri) == plain
    assert rules(use_domain=True).normal(uri) == with_domain


def test_case_sensitive_keeps_the_case_of_users_and_never_of_domains() -> None:
    assert rules(True, case_sensitive=True).normal(b"sip:Alice@Example.COM") == b"Alice@example.com"


@pytest.mark.parametrize(
    ("host", "domain"),
    [(b"sip.example.com", b"example.com"), (b"SIP.example.com", b"example.com"), (b"sip.", b"sip."),
     (b"example.com", b"example.com")],
)  # fmt: skip
def test_the_realm_prefix_is_taken_off_the_domain(host: bytes, domain: bytes) -> None:
    assert rules(True, realm_prefix=b"sip.").without_prefix(host.lower()) == domain


@pytest.mark.parametrize(
    ("uri", "code", "reason"),
    [
        (b"sip:a@", 400, "Error while parsing AOR"),
        (b"nonsense", 400, "Error while parsing AOR"),
        (b"sip:%zz@example.com", 400, "Error while unescaping username"),
        (b"sip:a%0@example.com", 400, "Error while unescaping username"),
        (b"sip:a%00b@example.com", 400, "Error while unescaping username"),
        (b"sip:%0d%0a@example.com", 400, "Error while unescaping username"),
        (b"sip:" + b"a" * 65 + b"@example.com", 500, "Address Of Record too long"),
        (b"sip:a@" + b"h" * 129, 500, "Address Of Record too long"),
    ],
)
def test_what_is_no_aor_is_refused_with_its_reason(uri: bytes, code: int, reason: str) -> None:
    with pytest.raises(SipError) as caught:
        rules().normal(uri)
    assert (caught.value.code, caught.value.reason) == (code, reason)


def test_realm_prefix_lets_two_names_share_an_aor() -> None:
    site = Site(registrar={"realm_prefix": "sip."}, usrloc={"use_domain": 1})
    site.register(["<sip:a@192.0.2.10>"], to="sip:alice@sip.example.com")
    assert site.registrar.lookup(site.request(ruri="sip:alice@example.com"), site.table) == 1
    site.close()


def test_case_sensitive_keeps_two_users_apart() -> None:
    site = Site(registrar={"case_sensitive": 1})
    site.register(["<sip:a@192.0.2.10>"], to="sip:Alice@example.com")
    assert site.registrar.lookup(site.request(ruri="sip:alice@example.com"), site.table) == -1
    assert site.registrar.lookup(site.request(ruri="sip:Alice@example.com"), site.table) == 1
    site.close()


def test_aor_avp_takes_the_place_of_to_and_of_the_request_uri() -> None:
    site = Site(registrar={"aor_avp": "$avp(s:aor)"})
    msg = site.message(b"".join([
        b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\nCSeq: 1 REGISTER\r\n",
        b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: c\r\n",
        b"Contact: <sip:a@192.0.2.10>\r\n\r\n",
    ]))  # fmt: skip
    msg.avps.add(b"aor", b"sip:shared@example.com")
    site.save(msg)
    assert (site.uris(b"alice"), site.uris(b"shared")) == ([], [b"sip:a@192.0.2.10"])
    request = site.request(ruri="sip:anyone@example.com")
    request.avps.add(b"aor", b"sip:shared@example.com")
    assert site.registrar.lookup(request, site.table) == 1
    site.close()
