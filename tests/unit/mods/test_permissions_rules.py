"""permissions, files of rules: how they are read, and whom they let through to whom."""

import pytest

from openserd.errors import ConfigError, SipError
from openserd.mods.permissions import plain_uri
from openserd.mods.permissions.rules import Rules, parse_rules, without_escapes

ALICE = b"sip:alice@abc.com"


def about(text: str, destination: bytes, caller: bytes = ALICE) -> bool:
    """Whether a rule of a file is about a call."""
    return any(rule.matches(caller, destination) for rule in parse_rules(text, "rules.allow"))


def test_all_matches_everything() -> None:
    assert about("ALL : ALL", b"sip:bob@x")
    assert len(parse_rules("ALL:ALL\n  \n# ALL : ALL\nALL : ALL # why\n", "f")) == 2


def test_both_sides_have_to_match_somewhere_in_the_uri_whatever_the_case() -> None:
    text = '"^sip:alice@" : "@gw\\.abc\\.com$"'
    assert about(text, b"sip:900@GW.abc.com")
    assert not about(text, b"sip:900@gwXabc.com")
    assert not about(text, b"sip:900@gw.abc.com", b"sip:carol@abc.com")


def test_a_side_is_a_list_with_exceptions() -> None:
    text = 'ALL : "^sip:361[0-9]*@abc\\.com$" , "^sip:7" EXCEPT "^sip:361[0-9]*3@abc\\.com$", "4@"'
    assert about(text, b"sip:3610@abc.com")
    assert about(text, b"sip:70@abc.com")
    assert not about(text, b"sip:3613@abc.com")
    assert not about(text, b"sip:3614@abc.com")
    assert not about(text, b"sip:3614@abc.com")
    assert not about('ALL EXCEPT "alice" : ALL', b"sip:1@x")
    assert about('ALL\tEXCEPT\t"carol" : ALL', b"sip:1@x")


def test_each_rule_has_its_own_all() -> None:
    text = 'ALL : "^sip:1"\n"^sip:carol@" : "^sip:2"\nALL : "^sip:3"'
    assert not about(text, b"sip:2@x")
    assert about('"^sip:carol@" : ALL\nALL : "^sip:3"', b"sip:3@x")


def test_quotes_hold_what_would_mean_something() -> None:
    assert about('"a EXCEPT b:c,d#e|alice" : bob', b"sip:bob@x")
    assert about("alice : ^sip.bob@", b"sip:bob@x")


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("ALL", "no colon", 1),
        ("  sip", "no colon", 1),
        ("ALL : sip:900", "second colon", 10),
        ('ALL : "sip:900', "no end", 6),
        ("ALL :", "missing", 1),
        (": ALL", "missing", 1),
        ('ALL : "a",', "missing", 10),
        ('ALL : "a",,"b"', "cannot stand here", 11),
        ('ALL : "a" "b"', "cannot stand here", 11),
        ('ALL : "a", ALL', "cannot stand here", 12),
        ("ALL : ALL EXCEPT ALL", "cannot stand here", 18),
        ("ALL : ALL EXCEPT", "missing", 1),
        ('ALL : ALL EXCEPT "a" EXCEPT "b"', "second EXCEPT", 22),
        ("all : ALL", "all is no word here", 1),
        ('ALL : ALL except "a"', "except is no word here", 11),
        ('ALL : "a(b"', "bad regular expression", 7),
        ('ALL : ""', "empty", 7),
    ],
)
def test_a_line_that_is_no_rule_is_an_error_with_its_place(line: str, message: str, column: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(f"# rules\n\n{line}\nALL : ALL\n", "/etc/rules.deny")
    error = caught.value
    assert message in error.message
    assert (error.file, error.line, error.column, error.source) == ("/etc/rules.deny", 3, column, line)
    assert error.expected and f"/etc/rules.deny:3:{column}: " in str(error)


def test_allow_comes_first_then_deny_then_everything_is_allowed() -> None:
    allow = parse_rules('ALL : "^sip:9001@"', "a")
    deny = parse_rules('ALL : "^sip:900"', "d")
    assert Rules(allow, deny).allows(ALICE, b"sip:9001@gw")
    assert not Rules(allow, deny).allows(ALICE, b"sip:9002@gw")
    assert Rules(allow, deny).allows(ALICE, b"sip:bob@gw")
    assert Rules(allow, ()).allows(ALICE, b"sip:9002@gw")
    assert Rules((), ()).are_none and not Rules(allow, ()).are_none and not Rules((), deny).are_none


def test_an_expression_that_takes_too_long_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openserd.mods.permissions.rules.REGEX_SECONDS", 0.001)
    (rule,) = parse_rules('ALL : "^(a|a|aa)*(aa|aaa)*$"', "d")
    with pytest.raises(SipError):
        rule.matches(ALICE, b"a" * 4000 + b"b")


@pytest.mark.parametrize(
    ("uri", "plain"),
    [
        (b"sip:bob@x.example:5070;user=phone?a=b", b"sip:bob@x.example"),
        (b"sips:bob@x.example", b"sip:bob@x.example"),
        (b"sip:bob:secret@x.example", b"sip:bob@x.example"),
        (b"sip:x.example", b"sip:x.example"),
        (b"tel:+4930", b"sip:+4930@"),
        (b"sip:%39%300@x", b"sip:900@x"),
        (b"sip:a%40b%0a@x", b"sip:a%40b%0A@x"),
    ],
)
def test_destinations_are_compared_without_what_does_not_tell_who_it_is(uri: bytes, plain: bytes) -> None:
    assert plain_uri(uri) == plain


def test_a_uri_that_names_nobody_is_not_compared() -> None:
    for uri in (b"urn:x:y", b"what"):
        with pytest.raises(SipError):
            plain_uri(uri)


def test_escapes_that_mean_nothing_are_undone_and_no_others() -> None:
    assert without_escapes(b"sip:%61%3b%2Fx%zz@%41") == b"sip:a%3B%2Fx%zz@A"
