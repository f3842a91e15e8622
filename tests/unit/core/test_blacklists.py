"""Destination blacklists: which destinations a script can rule out, and what becomes of requests to them."""

import pytest

from openserd.core.network.blacklists import Blacklists, network_of
from openserd.core.params import BlacklistRule
from openserd.errors import ConfigError, SipError
from openserd.script import ConfigErrors
from openserd.testing import Result, Script
from tests.support.recording import request


def blocks(rule: str, destination: tuple[str, int] = ("10.0.0.5", 5060), proto: str = "udp") -> bool:
    """Whether a list of one rule stops a request to `destination`."""
    with Script.text(f'dst_blacklist = x:{{ {rule} }} route {{ use_blacklist("x"); }}') as script:
        lists = script.core.blacklists
        assert lists is not None
        msg = request()
        lists.use(msg, lists.named("x"))
        try:
            lists.check(msg, msg.ruri, proto, destination)
        except SipError as error:
            assert (error.code, error.reason) == (473, "Filtered destination")
            return True
        return False


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('(any, 10.0.0.5, 0, "")', True),
        ('(any, 10.0.0.6, 0, "")', False),
        ('(any, 10.0.0.0/8, 0, "")', True),
        ('(any, 10.9.9.9/255.0.0.0, 0, "")', True),
        ('(udp, 10.0.0.0/8, 5060, "")', True),
        ('(tcp, 10.0.0.0/8, 5060, "")', False),
        ('(udp, 10.0.0.0/8, 5061, "")', False),
        ('!(any, 10.0.0.0/8, 0, "")', False),
        ('!(any, 192.0.2.0/24, 0, "")', True),
        ('!(tcp, 10.0.0.0/8, 0, "")', True),
        ('(any, 10.0.0.0/8, 0, "INVITE sip:*biloxi*From:*alice*")', True),
        ('(any, 10.0.0.0/8, 0, "INVITE")', False),
        ('(any, 10.0.0.0/8, 0, "invite*")', False),
        ('(any, 192.0.2.0/24, 0, ""), (any, 10.0.0.0/8, 0, "")', True),
    ],
)
def test_a_rule_is_held_against_address_transport_port_and_text(rule: str, expected: bool) -> None:
    assert blocks(rule) is expected


def test_addresses_of_both_families_can_be_named() -> None:
    assert blocks('(any, 2001:db8::/32, 0, "")', ("2001:db8::7", 5060))
    assert not blocks('(any, 2001:db8::/32, 0, "")')
    assert str(network_of("[2001:db8::1]")) == "2001:db8::1/128"


def test_a_list_counts_for_the_message_that_uses_it_only() -> None:
    lists = Blacklists({"x": [BlacklistRule(False, None, "0.0.0.0/0", 0, "")]})
    one, other = request(), request()
    lists.use(one, lists.named("x"))
    lists.check(other, other.ruri, "udp", ("10.0.0.5", 5060))
    with pytest.raises(SipError):
        lists.check(one, one.ruri, "udp", ("10.0.0.5", 5060))


LISTS = 'dst_blacklist = inside:{ (any, 10.0.0.0/8, 0, "") } dst_blacklist = outside:{ (any, 192.0.2.0/24, 0, "") }\n'


def sent(statements: str, uri: str = "sip:bob@10.0.0.5") -> Result:
    with Script.text(f"{LISTS} route {{ {statements} }}", ["tm", "sl"]) as script:
        return script.request(f"INVITE {uri}")


@pytest.mark.parametrize("relay", ["forward()", 'forward("10.0.0.7")', "t_relay()", 't_relay("udp:10.0.0.7:5070")'])
def test_every_way_of_forwarding_looks_at_the_lists(relay: str) -> None:
    assert sent(f"{relay};").forwarded
    assert sent(f'use_blacklist("outside"); {relay};').forwarded
    blocked = sent(f'use_blacklist("outside"); use_blacklist("inside"); if (!{relay}) sl_reply_error();')
    assert not blocked.forwarded
    assert (blocked.reply.status, blocked.reply.reason[:20]) == (473, "Filtered destination")


def test_a_blocked_branch_does_not_stop_the_others() -> None:
    result = sent('use_blacklist("inside"); append_branch("sip:bob@192.0.2.20"); t_relay();')
    assert [one.next_hop for one in result.forwarded] == ["192.0.2.20:5060"]


def test_the_next_message_begins_without_lists() -> None:
    with Script.text(f'{LISTS} route {{ if (method=="INVITE") use_blacklist("inside"); forward(); }}') as script:
        assert script.request("INVITE sip:bob@10.0.0.5").dropped
        assert script.request("MESSAGE sip:bob@10.0.0.5").request.next_hop == "10.0.0.5:5060"


def test_what_is_wrong_with_a_list_is_said_with_its_place() -> None:
    with pytest.raises(ConfigErrors) as raised:
        Script.text('dst_blacklist = a:{ (any, 10.0.0.256, 0, "") }\nroute { use_blacklist("b"); }')
    assert [(error.line, error.message) for error in raised.value.errors] == [
        (1, "10.0.0.256 is no network"),
        (2, "there is no destination blacklist b"),
    ]
    with pytest.raises(ConfigError):
        network_of("somewhere")


def test_management_lists_them() -> None:
    text = 'dst_blacklist = gw:{ (tcp, 192.0.2.200, 5060, "a*"), !(any, 10.0.0.0/8, 0, ""), !(any, 10.0.0.0/8, 0, "") }'
    with Script.text(f"{text} route {{ exit; }}") as script:
        (node,) = script.mi("list_blacklists").nodes
    assert (node.name, node.value, node.attributes) == ("List", "gw", {"owner": 13, "flags": 1})
    assert [(rule.name, rule.attributes) for rule in node.children] == [("Rule", {"flags": 0}), ("Rule", {"flags": 1})]
    assert [[(one.name, one.value) for one in rule.children] for rule in node.children] == [
        [("IP", "192.0.2.200"), ("Mask", "255.255.255.255"), ("Proto", 2), ("Port", 5060), ("Match", "a*")],
        [("IP", "10.0.0.0"), ("Mask", "255.0.0.0"), ("Proto", 0), ("Port", 0)],
    ]


@pytest.mark.parametrize(
    ("network", "gone_to"), [("192.0.2.50/32", ["192.0.2.51"]), ("192.0.2.51/32", ["192.0.2.50"]), ("192.0.2.0/24", [])]
)
def test_of_several_addresses_the_first_that_is_allowed_is_taken(network: str, gone_to: list[str]) -> None:
    text = f"""dst_blacklist = x:{{ (any, {network}, 0, "") }}
        route {{ use_blacklist("x"); t_relay(); }}"""
    with Script.text(text, ["sl", "tm"], hosts={"gw.example.com": "192.0.2.50 192.0.2.51"}) as script:
        result = script.request("OPTIONS sip:gw.example.com")
        assert [sent.destination[0] for sent in result.forwarded] == gone_to
        assert [reply.status for reply in result.replies] == ([] if gone_to else [473])
