"""Every transformation on values where it matters, chains, variables as arguments, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.errors import ConfigError
from openserd.script.variables.compile import compile_variable
from openserd.script.variables.transformations import TRANSFORMATIONS
from tests.unit.script.pv_samples import environment, message

ENV = environment()
URI = b"sip:user:pass@host.example:5080;transport=tcp;maddr=m;ttl=5;method=INVITE;lr=on;r2=yes;user=phone?a=b&c=d"
PLAIN = b"sip:host.example"
LIST = b'a=1; B = two ;c;d="x;y"'

#: steps, value, result
RESULTS: list[tuple[str, Any, Any]] = [
    ("{s.len}", b"abc", 3),
    ("{s.len}", b"", 0),
    ("{s.len}", 12345, 5),
    ("{s.int}", b"-42", -42),
    ("{s.int}", b"12abc", 12),
    ("{s.int}", b"+7", 7),
    ("{s.int}", b"abc", None),
    ("{s.int}", 9, 9),
    ("{s.md5}", b"abc", b"900150983cd24fb0d6963f7d28e17f72"),
    ("{s.substr,1,2}", b"abcdef", b"bc"),
    ("{s.substr,2,0}", b"abcdef", b"cdef"),
    ("{s.substr,2,99}", b"abcdef", b"cdef"),
    ("{s.substr,-2,0}", b"abcdef", b"ef"),
    ("{s.substr,-3,2}", b"abcdef", b"de"),
    ("{s.substr,-3,5}", b"abcdef", b"def"),
    ("{s.substr,-6,0}", b"abcdef", b"abcdef"),
    ("{s.substr,6,0}", b"abcdef", None),
    ("{s.substr,-7,0}", b"abcdef", None),
    ("{s.substr,0,-1}", b"abcdef", None),
    ("{s.select,0,:}", b"a:b:c", b"a"),
    ("{s.select,2,:}", b"a:b:c", b"c"),
    ("{s.select,-1,:}", b"a:b:c", b"c"),
    ("{s.select,-3,:}", b"a:b:c", b"a"),
    ("{s.select,3,:}", b"a:b:c", b""),
    ("{s.select,-4,:}", b"a:b:c", b""),
    ("{s.select,1,,}", b"a,b,c", b"b"),
    ("{s.select,1, }", b"a b c", b"b"),
    ("{s.select,0,(}", b"x(y", b"x"),
    ("{s.select,0,}}", b"x}y", b"x"),
    ("{s.select,0,$}", b"x$y", b"x"),
    ("{s.encode.hexa}", b"\x00az", b"00617a"),
    ("{s.decode.hexa}", b"00617A", b"\x00az"),
    ("{s.decode.hexa}", b"617", b"a"),
    ("{s.decode.hexa}", b"6x", None),
    ("{s.escape.common}", b"a'b\"c\\d\0", b"a\\'b\\\"c\\\\d\\0"),
    ("{s.unescape.common}", b"a\\'b\\\"c\\\\d\\0\\n\\", b"a'b\"c\\d\0\\n\\"),
    ("{s.escape.user}", b"a b@c%", b"a%20b%40c%25"),
    ("{s.unescape.user}", b"a%20b%40c%25", b"a b@c%"),
    ("{s.unescape.user}", b"a%2", None),
    ("{s.unescape.user}", b"%zz", None),
    ("{s.unescape.user}", b"%0d", None),
    ("{uri.user}", URI, b"user"),
    ("{uri.user}", PLAIN, b""),
    ("{uri.user}", b"no uri", None),
    ("{uri.user}", b"", None),
    ("{uri.host}", URI, b"host.example"),
    ("{uri.domain}", URI, b"host.example"),
    ("{uri.passwd}", URI, b"pass"),
    ("{uri.passwd}", PLAIN, b""),
    ("{uri.port}", URI, 5080),
    ("{uri.port}", PLAIN, 0),
    ("{uri.params}", URI, b"transport=tcp;maddr=m;ttl=5;method=INVITE;lr=on;r2=yes;user=phone"),
    ("{uri.params}", PLAIN, b""),
    ("{uri.param,TTL}", URI, b"5"),
    ("{uri.param,none}", URI, b""),
    ("{uri.param,ttl}", PLAIN, b""),
    ("{uri.headers}", URI, b"a=b&c=d"),
    ("{uri.headers}", PLAIN, b""),
    ("{uri.transport}", URI, b"tcp"),
    ("{uri.transport}", PLAIN, b""),
    ("{uri.ttl}", URI, b"5"),
    ("{uri.uparam}", URI, b"phone"),
    ("{uri.maddr}", URI, b"m"),
    ("{uri.method}", URI, b"INVITE"),
    ("{uri.lr}", URI, b"on"),
    ("{uri.r2}", URI, b"yes"),
    ("{param.value,b}", LIST, b"two"),
    ("{param.value,c}", LIST, b""),
    ("{param.value,d}", LIST, b"x;y"),
    ("{param.value,e}", LIST, b""),
    ("{param.value,a}", b"", None),
    ("{param.value,a}", b"=1", None),
    ("{param.value,a}", b"a=1;", b"1"),
    ("{param.name,0}", LIST, b"a"),
    ("{param.name,1}", LIST, b"B"),
    ("{param.name,-1}", LIST, b"d"),
    ("{param.name,-4}", LIST, b"a"),
    ("{param.name,4}", LIST, b""),
    ("{param.name,-5}", LIST, b""),
    ("{param.name,0}", b"", None),
    ("{uri.user}{s.len}", URI, 4),
    ("{uri.params}{param.value,ttl}{s.int}", URI, 5),
    (" {uri.host} {s.select,0,.} ", URI, b"host"),
    ("{S.LEN}", b"abc", 3),
    ("{Uri.User}", URI, b"user"),
    ("{s.int}{s.len}", b"abc", None),
    ("{ s.substr , 1 , 2 }", b"abcdef", b"bc"),
]


def transformed(steps: str, value: Any) -> Any:
    """`value` after `steps`."""
    msg = message()
    compile_variable("$var(t)", ENV).set(msg, value)
    return compile_variable(f"$(var(t){steps})", ENV).get(msg)


@pytest.mark.parametrize(("steps", "value", "expected"), RESULTS)
def test_each_transformation(steps: str, value: Any, expected: Any) -> None:
    assert transformed(steps, value) == expected


def test_all_twenty_eight_are_in_the_table() -> None:
    assert len(TRANSFORMATIONS) == 28
    tried = {steps.strip(" {").lower().partition("}")[0].partition(",")[0].strip() for steps, _, _ in RESULTS}
    assert set(TRANSFORMATIONS) <= tried


def test_an_absent_value_stays_absent() -> None:
    assert compile_variable("$(avp(s:none){s.len})", ENV).get(message()) is None


def test_flags_are_transformed_as_they_print() -> None:
    assert compile_variable("$(mF{s.len})", ENV).get(message()) == 8


@pytest.mark.parametrize(
    ("steps", "arguments", "expected"),
    [
        ("{s.substr,$var(a),$var(b)}", (1, 2), b"bc"),
        ("{s.substr,$var(a),2}", (b"3", 0), b"de"),
        ("{s.substr,$(var(a){s.int}),0}", (b"4x", 0), b"ef"),
        ("{s.substr,$var(a),0}", (b"x", 0), None),
        ("{s.substr,$avp(s:none),0}", (0, 0), None),
        ("{s.select,$var(a),c}", (1, 0), b"def"),
    ],
)
def test_arguments_may_be_variables(steps: str, arguments: tuple[Any, Any], expected: Any) -> None:
    msg = message()
    for name, value in zip("ab", arguments, strict=True):
        compile_variable(f"$var({name})", ENV).set(msg, value)
    compile_variable("$var(t)", ENV).set(msg, b"abcdef")
    assert compile_variable(f"$(var(t){steps})", ENV).get(msg) == expected


@pytest.mark.parametrize(
    "steps", ["{param.value,$var(n)}", "{uri.params}{param.value,$(var(n))}", "{uri.param,$var(n)}"]
)
def test_names_may_be_variables(steps: str) -> None:
    msg = message()
    compile_variable("$var(n)", ENV).set(msg, b"ttl")
    compile_variable("$var(t)", ENV).set(msg, URI if "uri" in steps else b"ttl=5")
    assert compile_variable(f"$(var(t){steps})", ENV).get(msg) == b"5"
    compile_variable("$var(n)", ENV).set(msg, b"")
    assert compile_variable(f"$(var(t){steps})", ENV).get(msg) is None


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("{s.length}", "s.len"),
        ("{uri.usr}", "uri.user"),
        ("{q.x}", "classes are"),
        ("{}", "classes are"),
        ("{s.substr}", None),
        ("{s.substr,1}", None),
        ("{s.substr,1,2,3}", None),
        ("{s.len,1}", None),
        ("{s.substr,x,1}", None),
        ("{s.select,1,ab}", None),
        ("{s.select,1,}", None),
        ("{uri.param}", None),
        ("{uri.param,}", None),
        ("{param.name,x}", None),
        ("{s.substr,$nothing,1}", None),
    ],
)
def test_mistakes_are_refused(steps: str, says: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_variable(f"$(ru{steps})", ENV)
    assert says is None or says in caught.value.hint


@given(st.binary(max_size=40))
def test_escapes_come_back(text: bytes) -> None:
    for escape, unescape in (("s.escape.common", "s.unescape.common"), ("s.encode.hexa", "s.decode.hexa")):
        assert transformed(f"{{{escape}}}{{{unescape}}}", text) == text


@given(st.binary(max_size=60))
def test_no_value_makes_a_transformation_fail(text: bytes) -> None:
    for name, known in TRANSFORMATIONS.items():
        arguments = {0: "", 1: ",1", 2: ",1,1"}[len(known.kinds)]
        assert isinstance(transformed(f"{{{name}{arguments}}}", text), bytes | int | None)
