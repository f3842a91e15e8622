import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.errors import SipError
from openserd.parser.uri import build_uri, escape_user, parse_uri, unescape

#: RFC 3261 section 19.1.4, the examples of equal URIs.
EQUAL = [
    (b"sip:%61lice@atlanta.com;transport=TCP", b"sip:alice@AtLanTa.CoM;Transport=tcp"),
    (b"sip:carol@chicago.com", b"sip:carol@chicago.com;newparam=5"),
    (b"sip:carol@chicago.com", b"sip:carol@chicago.com;security=on"),
    (b"sip:carol@chicago.com;newparam=5", b"sip:carol@chicago.com;security=on"),
    (
        b"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        b"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        b"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        b"sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
]
#: And those of URIs that differ.
DIFFERENT = [
    (b"SIP:ALICE@AtLanTa.CoM;Transport=udp", b"sip:alice@AtLanTa.CoM;Transport=UDP"),
    (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:5060"),
    (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com;transport=udp"),
    (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:6000;transport=tcp"),
    (b"sip:carol@chicago.com", b"sip:carol@chicago.com?Subject=next%20meeting"),
    (b"sip:bob@phone21.boxesbybob.com", b"sip:bob@192.0.2.4"),
    (b"sip:carol@chicago.com;security=on", b"sip:carol@chicago.com;security=off"),
]

user_text = st.text("aA%41;/+0-", min_size=1, max_size=8).map(str.encode)
sip_uris = st.builds(
    lambda scheme, user, host, port, params, headers: scheme + b":" + user + host + port + params + headers,
    st.sampled_from([b"sip", b"sips", b"SIP"]),
    st.one_of(st.just(b""), user_text.map(lambda user: user + b"@"), user_text.map(lambda user: user + b":pw@")),
    st.sampled_from([b"a.example", b"A.Example", b"192.0.2.1", b"[2001:db8::1]"]),
    st.sampled_from([b"", b":5060", b":6000"]),
    st.lists(st.sampled_from([b";lr", b";transport=tcp", b";Transport=TCP", b";x=1", b";x=%31", b";maddr=h"])).map(
        b"".join
    ),
    st.sampled_from([b"", b"?a=1", b"?A=1&b=2", b"?b=2&a=1"]),
)


def test_all_parts_are_told_apart():
    uri = parse_uri(b"SIPS:bob:se:cret@[2001:db8::1]:5061;lr;Transport=TLS?Subject=a%20b&x")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (
        b"sips",
        b"bob",
        b"se:cret",
        b"[2001:db8::1]",
        5061,
    )
    assert (uri.params, uri.headers) == (b";lr;Transport=TLS", b"?Subject=a%20b&x")
    assert uri.param_list == [(b"lr", None), (b"transport", b"TLS")]
    assert uri.header_list == [(b"subject", b"a%20b"), (b"x", None)]
    assert uri.is_sip
    assert uri.is_ipv6


def test_absent_parts():
    uri = parse_uri(b"sip:example.com")
    assert (uri.user, uri.password, uri.port, uri.params, uri.headers) == (None, None, 0, b"", b"")
    assert (uri.param(b"lr"), uri.has_param(b"lr"), uri.is_ipv6) == (None, False, False)
    assert repr(uri) == "Uri(b'sip:example.com')"


def test_parameter_by_name_without_case():
    uri = parse_uri(b"sip:a@b;LR;x=;transport=tcp;;")
    assert (uri.param(b"lr"), uri.param(b"X"), uri.param(b"TRANSPORT"), uri.param(b"y")) == (
        b"",
        b"",
        b"tcp",
        None,
    )
    assert uri.has_param(b"lr")


@pytest.mark.parametrize(
    ("text", "user", "host"),
    [
        (b"sip:user;par=u%40example.net@example.com", b"user;par=u%40example.net", b"example.com"),
        (b"sip:a?b@c", b"a?b", b"c"),
        (b"sip:null-%00-null@example.com", b"null-%00-null", b"example.com"),
        (b"sip:+358-555-1234567;postd=pp22@foo.com;user=phone", b"+358-555-1234567;postd=pp22", b"foo.com"),
        (b"sip:*21#@pbx", b"*21#", b"pbx"),
        (b"sip:sips%3Auser%40example.com@example.net", b"sips%3Auser%40example.com", b"example.net"),
    ],
)
def test_user_part_may_hold_delimiters(text, user, host):
    uri = parse_uri(text)
    assert (uri.user, uri.host) == (user, host)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"sip", b"sip:", b":", b"sip:@host", b"sip:a@", b"sip:a@b@c", b"sip:2001:db8::1", b"sip:[::1",
        b"sip:[::1]x",
        b"sip:a b@c", b"sip:a@b:0", b"sip:a@b:65536", b"sip:a@b:", b"sip:a@b:x", b"sip:a@b:123456",
        b"<sip:a@b>",
        b"sip:a@b>", b'sip:"a"@b', b"sip:a@b\x00", b"sip:a@b\r\n", b"sip:a@b;x=<y>", b"sip:a@h\xc3\xb6st",
        b"1sip:a@b",
        b"sip:a@b/c",
    ],
)  # fmt: skip
def test_malformed_uri_is_refused(text):
    with pytest.raises(SipError) as caught:
        parse_uri(text, 7)
    assert caught.value.code == 400
    assert caught.value.offset >= 7


def test_tel_uri_has_its_number_as_user():
    uri = parse_uri(b"tel:+1-201-555-0123;phone-context=example.com")
    assert (uri.scheme, uri.user, uri.host) == (b"tel", b"+1-201-555-0123", b"")
    assert uri.param(b"phone-context") == b"example.com"
    assert not uri.is_sip


def test_other_scheme_is_kept_whole():
    uri = parse_uri(b"nobodyKnowsThisScheme:totallyopaquecontent")
    assert (uri.scheme, uri.opaque) == (b"nobodyknowsthisscheme", b"totallyopaquecontent")
    assert uri.to_bytes() == b"nobodyKnowsThisScheme:totallyopaquecontent"


@pytest.mark.parametrize(("one", "two"), EQUAL)
def test_equal_uris_of_the_rfc(one, two):
    assert parse_uri(one).same_as(parse_uri(two))
    assert parse_uri(two).same_as(parse_uri(one))


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_different_uris_of_the_rfc(one, two):
    assert not parse_uri(one).same_as(parse_uri(two))
    assert not parse_uri(two).same_as(parse_uri(one))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (b"sip:a@b", b"sips:a@b"), (b"sip:a@b", b"sip:b"), (b"sip:a:p@b", b"sip:a:P@b"),
        (b"sip:a@b;user=phone", b"sip:a@b"),
        (b"sip:a@b;ttl=1", b"sip:a@b"), (b"sip:a@b", b"sip:a@b;maddr=c"), (b"sip:%40@b", b"sip:%41@b"),
        (b"sip:%3B@b", b"sip:;@b"), (b"sip:%2541@b", b"sip:%41@b"), (b"sip:a@b;method=X", b"sip:a@b"),
    ],
)  # fmt: skip
def test_more_that_differ(one, two):
    assert not parse_uri(one).same_as(parse_uri(two))


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (b"tel:+1-201-555", b"tel:+1(201)555", True),
        (b"tel:+1201555", b"tel:+1201556", False),
        (b"tel:7042;phone-context=Example.com", b"tel:7042;phone-context=example.com", True),
        (b"tel:7042;phone-context=a", b"tel:7042", False),
        (b"urn:service:sos", b"URN:service:sos", True),
        (b"urn:service:sos", b"urn:service:SOS", False),
        (b"tel:1", b"sip:1", False),
    ],
)
def test_other_schemes_compare_by_their_own_rules(one, two, same):
    assert parse_uri(one).same_as(parse_uri(two)) is same


@given(sip_uris)
def test_comparison_is_reflexive_and_text_comes_back(text):
    assert parse_uri(text).same_as(parse_uri(text))
    assert parse_uri(text).to_bytes() == text


@given(sip_uris, sip_uris)
def test_comparison_is_symmetric(one, two):
    first, second = parse_uri(one), parse_uri(two)
    assert first.same_as(second) is second.same_as(first)


@given(sip_uris)
def test_parts_put_together_are_the_uri(text):
    uri = parse_uri(text)
    built = build_uri(uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.params, uri.headers)
    assert parse_uri(built).same_as(uri)
    assert len(built) == len(text)


def test_build_leaves_out_an_empty_user():
    assert build_uri(b"sip", b"", None, b"h", 0) == b"sip:h"


@given(st.binary(min_size=1, max_size=40))
def test_escaped_user_parses_and_comes_back(name):
    uri = parse_uri(b"sip:" + escape_user(name) + b"@host")
    assert uri.user is not None
    assert unescape(uri.user) == name


def test_percent_without_hex_digits_stays():
    assert unescape(b"100%, %zz %4") == b"100%, %zz %4"
    assert unescape(b"%00%41%5a%5A") == b"\x00AZZ"
