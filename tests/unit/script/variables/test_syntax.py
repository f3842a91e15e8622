"""Where a variable in script text ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.errors import ConfigError
from openserd.script.variables.compile import VARIABLE_PATTERN, match_variable


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("$ru == 1", "$ru"),
        ("$ru==1", "$ru"),
        ("$rc)", "$rc"),
        ("$err.class;", "$err.class"),
        ("$avp(s:x)=1", "$avp(s:x)"),
        ("$avp(s:x)[0]", "$avp(s:x)[0]"),
        ("$avp(s:x)[*])", "$avp(s:x)[*]"),
        ("$avp(s:x) [0]", "$avp(s:x)"),
        ("$hdr(Via[-1]) x", "$hdr(Via[-1])"),
        ("$(ru)x", "$(ru)"),
        ("$(avp(s:(x))[-1])}", "$(avp(s:(x))[-1])"),
        ("$(ru{uri.user}{s.len})}", "$(ru{uri.user}{s.len})"),
        ("$( ru {s.len} ) x", "$( ru {s.len} )"),
        ("$(ru{s.select,0,)}) x", "$(ru{s.select,0,)})"),
        ("$(ru{s.select,0,(}) x", "$(ru{s.select,0,(})"),
        ("$(ru{s.select,0,}}) x", "$(ru{s.select,0,}})"),
        ("$(ru{s.select,0,$}) x", "$(ru{s.select,0,$})"),
        ("$(ru{s.substr,$(var(x){s.int}),$var(y)}) x", "$(ru{s.substr,$(var(x){s.int}),$var(y)})"),
        ("$$ru", "$$"),
        ("$avp($alias) x", "$avp($alias)"),
        ("$T_reply_code>=500", "$T_reply_code"),
    ],
)
def test_a_variable_ends_where_it_ends(text: str, variable: str) -> None:
    assert match_variable(f"if ({text}", 4) == 4 + len(variable)
    assert VARIABLE_PATTERN.match(text).group() == variable


@pytest.mark.parametrize("text", ["$", "$ ru", "$1", "$(ru", "$(ru{s.len)", "$()", "$(avp(x)", "ru", "$(ru x)"])
def test_what_is_no_variable_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        match_variable(text, 0)


@given(st.text("$(){}[]ru.,s:x0* ", max_size=40))
def test_no_text_takes_long_or_fails_otherwise(text: str) -> None:
    try:
        assert 0 < match_variable(text, 0) <= len(text)
    except ConfigError:
        pass


def test_deep_nesting_ends_in_time() -> None:
    for text in ("$(" * 3000, "$(a" + "(" * 3000, "$(a{" * 1500, "$(a{" + "$b" * 3000):
        with pytest.raises(ConfigError):
            match_variable(text, 0)
