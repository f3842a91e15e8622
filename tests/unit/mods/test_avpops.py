"""avpops: operations on AVPs in memory."""

from collections.abc import Iterable

import pytest

from openserd.script.problems import ConfigErrors
from openserd.testing import Result, Script


def load(body: str, before: str = "") -> Script:
    """A script whose only route is `body`; $avp(s:rc) tells what the last call returned."""
    text = f'{before} route {{ {body} ; $var(rc) = $rc; if ($var(rc) == 1) {{ $avp(s:rc) = "yes"; }} '
    return Script.text(text + 'else { $avp(s:rc) = "no"; } }', ["sl", "avpops"])


def run(body: str, *, before: str = "", uri: str = "sip:bob@example.com") -> Result:
    """What one INVITE comes to."""
    with load(body, before) as script:
        return script.request(f"INVITE {uri}", from_="sip:alice@atlanta.example")


def succeeds(body: str, **options: str) -> bool:
    """Whether the last call of `body` returned 1 (and -1 otherwise)."""
    answer = run(body, **options).variable("$avp(s:rc)")
    assert answer in ("yes", "no")
    return answer == "yes"


def values(result: Result, name: str) -> list[str | int | None]:
    """All values of an AVP, newest first."""
    found = []
    for index in range(20):
        value = result.variable(f"$(avp({name})[{index}])")
        if value is None:
            break
        found.append(value)
    return found


def refused(body: str, word: str) -> None:
    """The script is refused, with that word in the error."""
    with pytest.raises(ConfigErrors, match=word):
        load(body).close()


def assigned(name: str, items: Iterable[int | str]) -> str:
    """Script text that gives an AVP values, the last one newest."""
    texts = (str(item) if isinstance(item, int) else f'"{item}"' for item in items)
    return "".join(f"$avp({name}) = {text};" for text in texts)


# -- avp_delete -------------------------------------------------------------------------------------------------


def test_avp_delete_drops_the_newest_value_or_with_g_all() -> None:
    three = assigned("i:1", ["a", "b", "c"])
    result = run(three + 'avp_delete("$avp(i:1)")')
    assert values(result, "i:1") == ["b", "a"]
    assert result.variable("$avp(s:rc)") == "yes"
    assert values(run(three + 'avp_delete("$avp(i:1)/g")'), "i:1") == []
    assert not succeeds('avp_delete("$avp(i:1)")')


@pytest.mark.parametrize(
    ("which", "left"), [("i", ["s:x"]), ("s", ["i:1", "i:2"]), ("a", []), ("*", []), ("a3", ["i:1", "s:x"])]
)
def test_avp_delete_by_the_kind_of_name_and_class(which: str, left: list[str]) -> None:
    result = run(f'$avp(i:1) = 1; $avp(i3:2) = 2; $avp(s:x) = 3; avp_delete("{which}")')
    assert [name for name in ("i:1", "i:2", "s:x") if result.variable(f"$avp({name})") is not None] == left


def test_avp_delete_refuses_what_names_no_avp() -> None:
    refused('avp_delete("x")', "names no AVP")
    refused('avp_delete("$ru")', "is no AVP")
    refused('avp_delete("$avp(i:1)/x")', "no flag 'x'")
    refused('avp_delete("$avp(i:1)/g/g")', "slashes")


# -- avp_copy ---------------------------------------------------------------------------------------------------


def test_avp_copy_copies_or_moves_one_value_or_all() -> None:
    two = assigned("i:1", ["a", "b"])
    result = run(two + 'avp_copy("$avp(i:1)", "$avp(s:new)")')
    assert values(result, "s:new") == ["b"]
    assert values(result, "i:1") == ["b", "a"]
    moved = run(two + 'avp_copy("$avp(i:1)", "$avp(s:new)/gd")')
    assert values(moved, "s:new") == ["a", "b"]
    assert values(moved, "i:1") == []
    assert values(run(two + 'avp_copy("$avp(i:1)", "$avp(s:new)/d")'), "i:1") == ["a"]
    assert not succeeds('avp_copy("$avp(i:1)", "$avp(s:new)")')


def test_avp_copy_converts_numbers_and_text() -> None:
    result = run('$avp(i:1) = "0042"; avp_copy("$avp(i:1)", "$avp(i:2)/n"); avp_copy("$avp(i:2)", "$avp(i:3)/s")')
    assert result.variable("$avp(i:2)") == 42
    assert result.variable("$avp(i:3)") == "42"
    result = run('$avp(i:1) = "x"; avp_copy("$avp(i:1)", "$avp(i:2)/n")')
    assert result.variable("$avp(s:rc)") == "no"
    assert result.variable("$avp(i:2)") is None
    assert "is no number" in result.log[0]


def test_avp_copy_takes_aliases_and_refuses_other_flags() -> None:
    result = run('$avp(old) = "x"; avp_copy("$avp(old)", "$avp($new)")', before='avp_aliases="old=i:7;new=s:fresh"')
    assert result.variable("$avp(s:fresh)") == "x"
    refused('avp_copy("$avp(i:1)", "$avp(i:2)/x")', "no flag 'x'")
    refused('avp_copy("$avp(i:1)[1]", "$avp(i:2)")', "index")
    refused('avp_copy("i:1", "$avp(i:2)")', "is no AVP")


# -- avp_printf -------------------------------------------------------------------------------------------------


def test_avp_printf_adds_a_value_of_formatted_text() -> None:
    result = run('$avp(i:20) = 1; avp_printf("$avp(i:20)", "a $rm of $fU, $avp(i:20), $avp(s:none)")')
    assert values(result, "i:20") == ["a INVITE of alice, 1, <null>", 1]
    refused('avp_printf("$ru", "x")', "is no AVP")


# -- avp_pushto -------------------------------------------------------------------------------------------------


def test_avp_pushto_writes_the_request_uri_and_its_parts() -> None:
    assert run('avp_pushto("$ru", "$fu")').branches == ["sip:alice@atlanta.example"]
    assert run('$avp(i:1) = 77; avp_pushto("$ru/username", "$avp(i:1)")').branches == ["sip:77@example.com"]
    assert run('avp_pushto("$ru/domain", "$fd")').branches == ["sip:bob@atlanta.example"]
    assert not succeeds('$avp(i:1) = "no uri"; avp_pushto("$ru", "$avp(i:1)")')
    assert not succeeds('avp_pushto("$ru", "$avp(i:1)")')


def test_avp_pushto_with_g_makes_a_branch_of_each_further_value() -> None:
    domains = assigned("s:backup", ["c.example", "b.example", "a.example"])
    result = run(domains + 'avp_pushto("$ru/domain", "$avp(s:backup)/g")')
    assert result.branches == ["sip:bob@c.example", "sip:bob@a.example", "sip:bob@b.example"]
    assert run(domains + 'avp_pushto("$ru/domain", "$avp(s:backup)")').branches == ["sip:bob@a.example"]


def test_avp_pushto_writes_next_hop_and_branches() -> None:
    result = run('$avp(i:1) = "sip:192.0.2.9"; avp_pushto("$du", "$avp(i:1)")')
    assert result.variable("$du") == "sip:192.0.2.9"
    assert not succeeds('$avp(i:1) = 5; avp_pushto("$du", "$avp(i:1)")')
    two = assigned("i:1", ["sip:x@192.0.2.1", "sip:y@192.0.2.2"])
    result = run(two + 'avp_pushto("$br", "$avp(i:1)/g")')
    assert result.branches == ["sip:bob@example.com", "sip:y@192.0.2.2", "sip:x@192.0.2.1"]
    assert not succeeds('$avp(i:1) = 5; avp_pushto("$br", "$avp(i:1)")')


def test_avp_pushto_refuses_other_places() -> None:
    refused('avp_pushto("$hdr(X)", "$fu")', "nothing can be written")
    refused('avp_pushto("$ru/port", "$fu")', "nothing can be written")
    refused('avp_pushto("$du/domain", "$fu")', "nothing can be written")
    refused('avp_pushto("$ru", "text")', "no pseudo-variable")
    refused('avp_pushto("$ru", "$fu/x")', "no flag 'x'")


# -- avp_check --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("eq/i:5", True), ("eq/i:6", False), ("ne/i:6", True), ("ne/i:5", False), ("lt/i:6", True), ("lt/i:5", False),
        ("le/i:5", True), ("le/i:4", False), ("gt/i:4", True), ("gt/i:5", False), ("ge/i:5", True), ("ge/i:6", False),
        ("and/i:4", True), ("and/i:2", False), ("or/i:0", True), ("xor/i:5", False), ("xor/i:0x4", True),
        ("eq/s:5", False), ("re/5", False), ("GT/i:-1", True),
    ],
)  # fmt: skip
def test_avp_check_compares_numbers(operation: str, expected: bool) -> None:
    assert succeeds(f'$avp(i:1) = 5; avp_check("$avp(i:1)", "{operation}")') is expected


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("eq/s:Bob", True), ("eq/bob", False), ("eq/bob/i", True), ("ne/bob", True), ("ne/bob/i", False),
        ("lt/s:carol", True), ("lt/s:BOB", False), ("lt/s:bobby", True), ("le/s:BOB", True), ("gt/s:alice", True),
        ("gt/s:bo", True), ("ge/s:bob", True), ("ge/s:carol", False), ("re/^b.b$", True), ("re/^x", False),
        ("fm/B*", True), ("fm/b*", False), ("fm/[!x]o?", True), ("fm/[^B]ob", False), ("fm/\\\\Bob", True),
        ("eq/i:5", False), ("eq/$rU", False), ("eq/$rU/i", True),
    ],
)  # fmt: skip
def test_avp_check_compares_text(operation: str, expected: bool) -> None:
    assert succeeds(f'$avp(i:1) = "Bob"; avp_check("$avp(i:1)", "{operation}")') is expected


def test_avp_check_tries_all_values_of_the_second_and_with_g_of_the_first() -> None:
    start = assigned("i:1", [1, 2, 3]) + assigned("i:2", [8, 3])
    assert succeeds(start + 'avp_check("$avp(i:1)", "eq/$avp(i:2)")')
    start = assigned("i:1", [1, 2, 3]) + assigned("i:2", [1, 8])
    assert not succeeds(start + 'avp_check("$avp(i:1)", "eq/$avp(i:2)")')
    assert succeeds(start + 'avp_check("$avp(i:1)", "eq/$avp(i:2)/g")')
    assert not succeeds('avp_check("$avp(i:1)", "eq/i:1")')
    assert not succeeds('$avp(i:1) = 1; avp_check("$avp(i:1)", "eq/$avp(i:2)")')


def test_avp_check_compares_other_variables() -> None:
    assert succeeds('avp_check("$fU", "eq/s:alice")')
    assert succeeds('avp_check("$rd", "ne/$fd/I")')


def test_avp_check_refuses_what_cannot_be_compared() -> None:
    refused('avp_check("$avp(i:1)", "is/i:1")', "no operator")
    refused('avp_check("$avp(i:1)", "eq")', "not possible")
    refused('avp_check("$avp(i:1)", "eq/i:x")', "no number")
    refused('avp_check("$avp(i:1)", "eq/x:1")', "no type")
    refused('avp_check("$avp(i:1)", "eq/i:1/z")', "no flag 'z'")
    refused('avp_check("$avp(i:1)", "re/$fu")', "the expression itself")
    refused('avp_check("$avp(i:1)", "re/(")', "expression")
    refused('avp_check("$avp(i:1)", "fm/i:1")', "takes text")
    refused('avp_check("$avp(i:1)", "and/5")', "takes a number")
    refused('avp_check("text", "eq/i:1")', "no pseudo-variable")


# -- avp_op -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("add/i:5", -2), ("sub/i:5", -12), ("mul/i:2", -14), ("div/i:2", -3), ("mod/i:4", -3), ("and/i:15", 9),
        ("or/i:1", -7), ("xor/i:1", -8), ("not/i:0", -1), ("div/i:0", 0), ("mod/i:0", 0), ("add/i:0x10", 9),
        ("mul/i:2147483647", -2147483641),
    ],
)  # fmt: skip
def test_avp_op_calculates(operation: str, expected: int) -> None:
    result = run(f'$avp(i:1) = -7; avp_op("$avp(i:1)", "{operation}")')
    assert values(result, "i:1") == [expected, -7]
    assert result.variable("$avp(s:rc)") == "yes"


def test_avp_op_writes_elsewhere_and_drops_its_source() -> None:
    result = run('$avp(i:1) = 4; avp_op("$avp(i:1)/$avp(s:sum)", "add/i:3/d")')
    assert result.variable("$avp(s:sum)") == 7
    assert result.variable("$avp(i:1)") is None


def test_avp_op_uses_all_numbers_of_both_sides() -> None:
    start = assigned("i:1", [1, "text", 2]) + assigned("i:2", [10, 20])
    result = run(start + 'avp_op("$avp(i:1)/$avp(i:3)", "add/$avp(i:2)/g")')
    assert values(result, "i:3") == [31, 21, 32, 22]
    assert not succeeds('$avp(i:1) = "x"; avp_op("$avp(i:1)", "add/i:1")')
    assert not succeeds('$avp(i:1) = 1; avp_op("$avp(i:1)", "add/$fU")')
    assert run('$avp(i:1) = 1; avp_op("$avp(i:1)", "add/$rp")').variable("$avp(i:1)") == 5061


def test_avp_op_refuses_text() -> None:
    refused('avp_op("$avp(i:1)", "add/5")', "takes a number")
    refused('avp_op("$avp(i:1)", "pow/i:5")', "no operator")
    refused('avp_op("$avp(i:1)", "add/i:5/x")', "no flag 'x'")
    refused('avp_op("$avp(i:1)/$fu", "add/i:5")', "is no AVP")


# -- avp_subst --------------------------------------------------------------------------------------------------


def test_avp_subst_replaces_the_value_or_writes_another() -> None:
    start = assigned("i:1", ["a@x", "b@y"])
    result = run(start + r'avp_subst("$avp(i:1)", "/(.*)@(.*)/\1@$rd/")')
    assert values(result, "i:1") == ["b@example.com", "a@x"]
    result = run(start + r'avp_subst("$avp(i:1)/$avp(i:2)/g", "/@.*/@z/")')
    assert values(result, "i:2") == ["a@z", "b@z"]
    assert values(result, "i:1") == ["b@y", "a@x"]
    result = run(start + r'avp_subst("$avp(i:1)/$avp(i:2)/gd", "/@.*/@z/")')
    assert values(result, "i:1") == []
    result = run(start + r'avp_subst("$avp(i:1)/g", "/@.*/@z/")')
    assert values(result, "i:1") == ["a@z", "b@z"]


def test_avp_subst_takes_the_first_text_that_matches() -> None:
    start = assigned("i:1", ["one", 5, "two"])
    assert values(run(start + 'avp_subst("$avp(i:1)", "/one/1/")'), "i:1") == ["1", "two", 5]
    assert not succeeds(start + 'avp_subst("$avp(i:1)", "/three/3/")')
    assert not succeeds('avp_subst("$avp(i:1)", "/three/3/")')
    refused('avp_subst("$avp(i:1)/$avp(i:2)/x", "/a/b/")', "no flag 'x'")
    refused('avp_subst("$avp(i:1)", "/a/b")', "after the replacement")


# -- is_avp_set, avp_print --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("$avp(i:1)", True), ("$avp(i:9)", False), ("$avp(i:1)/n", True), ("$avp(i:1)/s", False),
        ("$(avp(i:1)[1])/s", True), ("$(avp(i:1)[1])/n", False), ("$(avp(i:1)[1])/se", True),
        ("$avp(i:1)/e", False), ("$(avp(i:1)[2])/ne", True), ("$(avp(i:1)[3])", False), ("$(avp(i:1)[-1])/n", True),
    ],
)  # fmt: skip
def test_is_avp_set_asks_for_presence_and_kind(name: str, expected: bool) -> None:
    assert succeeds(f'{assigned("i:1", [0, "", 7])} is_avp_set("{name}")') is expected


def test_is_avp_set_refuses_flags_that_exclude_each_other() -> None:
    refused('is_avp_set("$avp(i:1)/sn")', "not possible")
    refused('is_avp_set("$avp(i:1)/g")', "no flag 'g'")


def test_avp_print_logs_all_avps() -> None:
    result = run('$avp(i:1) = 5; $avp(s:x) = "y"; avp_print()', before="debug=3")
    assert [line for line in result.log if line.startswith("avpops")] == [
        "avpops: name <x>, value <y>, classes 0x0000",
        "avpops: name 1, value 5, classes 0x0000",
    ]
    assert {line.level for line in result.log if line.startswith("avpops")} == {"INFO"}


def test_avp_functions_work_in_all_routes_that_openser_allows() -> None:
    with pytest.raises(ConfigErrors, match="cannot be used in error_route"):
        Script.text("route { drop(); } error_route { avp_print(); }", ["avpops"])
