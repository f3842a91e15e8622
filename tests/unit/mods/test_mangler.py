"""mangler: other addresses in Contact and session descriptions."""

import pytest

from openserd.mods.mangler import decode_uri, encode_uri
from openserd.script import ConfigErrors
from openserd.testing import Result, Script

SDP = "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.7\r\n\
m=video 65000 RTP/AVP 31\r\n"


def run(statement: str, line: str = "INVITE sip:bob@192.0.2.20", before: str = "", **options: object) -> Result:
    """What a message comes to that is forwarded after one call; the call's result is the only log line."""
    text = f'{before} route {{ {statement}; xlog("L_ERR", "$rc"); forward(); }}'
    with Script.text(text, ["mangler", "xlog"]) as script:
        return script.request(line, **options)  # type: ignore[arg-type]


URIS = [
    (b"sip:alice:secret@10.0.0.5:5070;transport=udp", b"sip:pbx*alice*secret*10.0.0.5*5070*udp@192.0.2.1"),
    (b"sip:alice@10.0.0.5", b"sip:pbx*alice**10.0.0.5**@192.0.2.1"),
    (b"sips:10.0.0.5", b"sips:pbx***10.0.0.5**@192.0.2.1"),
]


@pytest.mark.parametrize(("plain", "encoded"), URIS)
def test_encoding_can_be_undone(plain: bytes, encoded: bytes) -> None:
    assert encode_uri(plain, b"pbx", b"192.0.2.1", b"*") == encoded
    assert decode_uri(encoded, b"*") == plain


def test_what_was_added_to_an_encoded_uri_stays() -> None:
    uri = b"sip:pbx*alice**10.0.0.5**@192.0.2.1:5060;x=1;lr"
    assert decode_uri(uri, b"*") == b"sip:alice@10.0.0.5;x=1;lr"


@pytest.mark.parametrize(
    "uri",
    [b"sip:alice@10.0.0.5", b"sip:a*b*c*d*e*f*g@h", b"sip:p*u*****@h", b"sip:p**secret*10.0.0.5**@h", b"tel:123",
     b"sip:p*u**10.0.0.5*x*@h", b"sip:p*u**10.0.0.5*99999*@h", b"sip:p*u**10.0 .0.5**@h"],
)  # fmt: skip
def test_what_was_not_encoded_is_not_decoded(uri: bytes) -> None:
    assert decode_uri(uri, b"*") is None


@pytest.mark.parametrize("uri", [b"tel:123", b"sip:", b"nonsense"])
def test_only_sip_uris_are_encoded(uri: bytes) -> None:
    assert encode_uri(uri, b"p", b"h", b"*") is None


def test_encode_contact_changes_every_contact() -> None:
    contacts = '"A" <sip:alice@10.0.0.5;transport=tcp>;q=0.5, <sip:alice@10.0.0.6>'
    result = run('encode_contact("pbx", "192.0.2.1")', headers={"Contact": contacts})
    assert result.log == ["1"]
    assert result.request.header("Contact") == (
        '"A" <sip:pbx*alice**10.0.0.5**tcp@192.0.2.1>;q=0.5, <sip:pbx*alice**10.0.0.6**@192.0.2.1>'
    )


def test_decode_contact_header_changes_it_back() -> None:
    result = run("decode_contact_header()", headers={"Contact": "<sip:pbx*alice**10.0.0.5**@192.0.2.1>"})
    assert result.request.header("Contact") == "<sip:alice@10.0.0.5>"


def test_decode_contact_changes_the_request_uri() -> None:
    result = run("decode_contact()", "INVITE sip:pbx*bob**192.0.2.20*5080*@198.51.100.1")
    assert (result.request.uri, result.request.next_hop) == ("sip:bob@192.0.2.20:5080", "192.0.2.20:5080")


def test_another_separator_can_be_chosen() -> None:
    before = 'modparam("mangler", "contact_flds_separator", "~x")'
    result = run('encode_contact("p", "h")', before=before, headers={"Contact": "<sip:a*b@10.0.0.5>"})
    assert result.request.header("Contact") == "<sip:p~a*b~~10.0.0.5~~@h>"


@pytest.mark.parametrize(
    ("statement", "headers", "code"),
    [
        ('encode_contact("p", "h")', {"Contact": None}, "-1"),
        ("decode_contact_header()", {"Contact": None}, "-1"),
        ('encode_contact("p", "h")', {"Contact": "<tel:1>"}, "-20"),
        ("decode_contact_header()", {}, "-20"),
        ("decode_contact()", {}, "-20"),
        ('encode_contact("p", "h")', {"Contact": "*"}, "1"),
    ],
)
def test_codes_tell_what_was_wrong(statement: str, headers: dict[str, str | None], code: str) -> None:
    assert run(statement, headers=headers).log == [code]


def test_addresses_of_a_network_are_replaced_and_the_length_follows() -> None:
    result = run('sdp_mangle_ip("10.0.0.0/8", "203.0.113.99")', body=SDP)
    sent = result.request
    assert result.log == ["2"]
    assert sent.body == SDP.replace("c=IN IP4 10.0.0.5", "c=IN IP4 203.0.113.99")
    assert sent.header("Content-Length") == str(len(sent.body))


@pytest.mark.parametrize(("network", "count"), [("10.0.0.0/255.0.0.0", 2), ("10.0.0.5", 2), ("0.0.0.0/0", 3)])
def test_networks_are_written_in_several_ways(network: str, count: int) -> None:
    assert run(f'sdp_mangle_ip("{network}", "203.0.113.1")', body=SDP).log == [str(count)]


@pytest.mark.parametrize(
    ("offset", "ports"), [("+10", ["4010", "65010"]), ("-1000", ["3000", "64000"]), ("7000", ["7000", "7000"])]
)
def test_ports_are_shifted_or_set(offset: str, ports: list[str]) -> None:
    result = run(f'sdp_mangle_port("{offset}")', body=SDP)
    media = [line.split()[1] for line in result.request.body.split("\r\n") if line.startswith("m=")]
    assert (media, result.log) == (ports, ["3"])


@pytest.mark.parametrize(
    ("statement", "body", "code"),
    [
        ('sdp_mangle_port("+1000")', SDP, "-9"),
        ('sdp_mangle_port("+1")', "m=audio 0 RTP/AVP 0\r\n", "-8"),
        ('sdp_mangle_port("+1")', "", "-2"),
        ('sdp_mangle_ip("10.0.0.0/8", "192.0.2.1")', "", "-2"),
        ('sdp_mangle_ip("10.0.0.0/8", "192.0.2.1")', "c=IN IP4 10.0.0.999\r\n", "-11"),
        ('sdp_mangle_ip("10.0.0.0/8", "192.0.2.1")', "c=IN IP6 ::1\r\n", "1"),
    ],
)
def test_codes_tell_what_was_wrong_with_a_body(statement: str, body: str, code: str) -> None:
    assert run(statement, body=body).log == [code]


@pytest.mark.parametrize(
    "call",
    ['sdp_mangle_port("x")', 'sdp_mangle_port("70000")', 'sdp_mangle_ip("10.0.0", "1.2.3.4")',
     'sdp_mangle_ip("10.0.0.0/8", "")', 'sdp_mangle_ip("10.0.0.0/33", "1.2.3.4")'],
)  # fmt: skip
def test_a_wrong_argument_is_an_error_of_the_script(call: str) -> None:
    with pytest.raises(ConfigErrors):
        Script.text(f"route {{ {call}; }}", ["mangler"])
