"""Every message of the corpora has its outcome."""

import pytest

from openserd.errors import SipError
from openserd.parser.message import Message
from openserd.parser.uri import parse_uri
from openserd.parser.via import follows_rfc3261
from tests.unit.parser.corpus import ROOT, ask_everything, files, load, refusal, rows

EXPECTED = [
    (f"{folder}/{row['message']}", row["refused by"], int(row["code"] or 0), row["reason"])
    for folder in ("rfc4475", "rfc5118")
    for row in rows(ROOT / folder / "expected.tsv")
]
ALL_FILES = [
    path
    for folder in ("rfc4475", "rfc5118", "rfc-flows", "ser-messages", "capture-2005", "protos")
    for path in files(folder)
]
#: RFC 5626 prints these without Via.
WITHOUT_VIA = ("9.3-incoming-call-and-proxy-crash", "9.4-re-registration", "9.5-outgoing-call")


@pytest.mark.parametrize(("name", "step", "code", "reason"), EXPECTED)
def test_torture_message_has_the_outcome_of_its_table(name, step, code, reason):
    assert refusal(load(name)) == (step, code, reason)


def test_every_torture_message_is_in_the_table():
    listed = {name for name, _, _, _ in EXPECTED}
    assert listed == {str(path.relative_to(ROOT)) for folder in ("rfc4475", "rfc5118") for path in files(folder)}


@pytest.mark.parametrize("folder", ["rfc4475", "rfc5118"])
def test_valid_torture_messages_are_accepted_and_refusals_are_of_invalid_ones(folder):
    accepted = {row["message"] for row in rows(ROOT / folder / "expected.tsv") if row["refused by"] == "accept"}
    for row in rows(ROOT / folder / "index.tsv"):
        if row["class"] == "valid" and row["name"] != "ipv6-in-sdp":
            assert f"{row['name']}.dat" in accepted


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_message_is_read_or_refused_with_offset_and_reason(path):
    buf = path.read_bytes()
    for error in ask_everything(buf):
        assert error.reason
        assert 0 <= error.offset <= 2 * len(buf)
        assert 400 <= error.code <= 505


@pytest.mark.parametrize("path", files("capture-2005") + files("rfc-flows"), ids=lambda path: path.name)
def test_real_and_printed_messages_are_accepted(path):
    expected = ("validate", 400, "Missing Via") if path.name.startswith(WITHOUT_VIA) else ("accept", 0, "")
    assert refusal(path.read_bytes()) == expected


def test_complete_messages_of_old_devices_parse():
    for row in rows(ROOT / "ser-messages" / "index.tsv"):
        if row["complete (empty line present)"] == "yes" and not row["name"].startswith("bad_via"):
            assert Message(load(f"ser-messages/{row['name']}")).hdr_ids


def test_ser_message_with_cr_cr_lf_is_accepted():
    assert refusal(load("ser-messages/sg.sip")) == ("accept", 0, "")


@pytest.mark.parametrize("path", files("protos"), ids=lambda path: path.name)
def test_no_broken_method_token_is_accepted(path):
    if path.name != "m000.dat":
        assert refusal(path.read_bytes())[0] != "accept"


def test_wsinv_is_read_through_folds_case_and_compact_names():
    msg = Message(load("rfc4475/wsinv.dat"))
    assert (msg.max_forwards, msg.cseq.number, msg.cseq.method) == (68, 9, b"INVITE")
    assert msg.to_tag == b"1918181833n"
    assert msg.from_tag == b"98asjd8"
    assert msg.to.uri == b"sip:vivekg@chair-dnrc.example.com"
    assert [via.transport for via in msg.vias()] == [b"UDP", b"TCP", b"UDP"]
    assert [via.host for via in msg.vias()] == [b"192.0.2.2", b"spindle.example.com", b"192.168.255.111"]
    assert msg.top_via().branch == b"390skdjuw"
    assert msg.contacts[0].param(b"newparam") == b"newvalue"
    assert len(msg.routes) == 1


def test_intmeth_keeps_the_widest_characters():
    msg = Message(load("rfc4475/intmeth.dat"))
    assert msg.method == b"!interesting-Method0123456789_*+`.%indeed'~"
    uri = parse_uri(msg.ruri)
    assert uri.user == b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert uri.password == b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert msg.to.name.startswith(b"BEL:")


def test_semiuri_has_its_semicolon_in_the_user():
    uri = parse_uri(Message(load("rfc4475/semiuri.dat")).ruri)
    assert (uri.user, uri.host, uri.params) == (b"user;par=u%40example.net", b"example.com", b"")


def test_dblreq_ends_where_content_length_says():
    msg = Message(load("rfc4475/dblreq.dat"))
    assert msg.body == b""
    assert msg.end < len(msg.buf)


def test_escnull_keeps_contacts_apart():
    one, two = Message(load("rfc4475/escnull.dat")).contacts
    assert not parse_uri(one.uri).same_as(parse_uri(two.uri))


def test_cparam01_and_02_tell_header_parameters_from_uri_parameters():
    outside = Message(load("rfc4475/cparam01.dat")).contacts[0]
    inside = Message(load("rfc4475/cparam02.dat")).contacts[0]
    assert outside.uri == b"sip:+19725552222@gw1.example.net"
    assert outside.param(b"unknownparam") == b""
    assert inside.uri == b"sip:+19725552222@gw1.example.net;unknownparam"
    assert inside.param(b"unknownparam") is None


def test_badbranch_is_no_branch_of_rfc_3261():
    assert not follows_rfc3261(Message(load("rfc4475/badbranch.dat")).top_via().branch)


def test_bext01_names_its_proxy_require_tags():
    assert Message(load("rfc4475/bext01.dat")).proxy_require == [
        b"noProxiesSupportThis",
        b"norDoAnyProxiesSupportThis",
    ]


def test_transports_are_all_read():
    vias = Message(load("rfc4475/transports.dat")).vias()
    assert [via.transport for via in vias] == [b"UDP", b"SCTP", b"TLS", b"UNKNOWN", b"TCP"]


def test_ambiguous_ipv6_port_is_part_of_the_address():
    ambiguous = parse_uri(Message(load("rfc5118/port-ambiguous.dat")).ruri)
    clear = parse_uri(Message(load("rfc5118/port-unambiguous.dat")).ruri)
    assert (ambiguous.host, ambiguous.port) == (b"[2001:db8::10:5070]", 0)
    assert (clear.host, clear.port) == (b"[2001:db8::10]", 5070)


@pytest.mark.parametrize("name", ["via-received-param-with-delim", "via-received-param-no-delim"])
def test_received_may_be_ipv6_with_or_without_brackets(name):
    received = Message(load(f"rfc5118/{name}.dat")).top_via().received
    assert received is not None
    assert received.strip(b"[]") == b"2001:db8::9:255"


def test_head_without_end_is_refused():
    with pytest.raises(SipError):
        Message(load("rfc4475/variants/baddn-noend.dat"))
