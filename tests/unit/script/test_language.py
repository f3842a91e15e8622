"""Each statement, operator and operand of the language, compiled and run over a message."""

import pytest

from openserd.core.context import Core
from openserd.core.module import BRANCH, FAILURE, ONREPLY
from openserd.script import ConfigErrors
from tests.unit.script.pv_samples import BARE, BROKEN, REPLY, Recorder, message
from tests.unit.script.script_modules import calls, compiled, holds, marks, result, script


def core_at(*addresses: tuple[bytes, int]) -> Core:
    """A server that is reached at these addresses."""
    core = Core()
    for host, port in addresses:
        core.myself.add(host, port)
    return core


# -- statements -------------------------------------------------------------------------------------------------


def test_a_lone_semicolon_is_an_empty_statement() -> None:
    assert marks('route { ; if (1) { ; }; mark("a"); ; }') == ["a"]


def test_braces_may_be_left_out_and_else_belongs_to_the_nearest_if() -> None:
    text = 'route {{ if ({0}) if ({1}) mark("both"); else mark("only first"); mark("end"); }}'
    assert marks(text.format(1, 1)) == ["both", "end"]
    assert marks(text.format(1, 0)) == ["only first", "end"]
    assert marks(text.format(0, 1)) == ["end"]


def test_else_if_chains() -> None:
    text = 'route {{ $var(x) = {0}; if ($var(x)==1) mark("a"); else if ($var(x)==2) {{ mark("b"); }} else mark("c"); }}'
    assert [marks(text.format(n)) for n in (1, 2, 3)] == [["a"], ["b"], ["c"]]


def test_an_if_needs_no_parentheses() -> None:
    assert marks('route { if method=="INVITE" mark("a"); if (1) && (1) { mark("b"); } }') == ["a", "b"]


@pytest.mark.parametrize("word", ["exit", "exit()", "drop", "drop()", "return(0)"])
def test_the_script_ends_wherever_it_is_told_to(word: str) -> None:
    assert marks(f'route {{ route(1); mark("no"); }} route[1] {{ {word}; mark("no"); }}') == []
    assert marks(f'route {{ if (route(1)) mark("no"); mark("no"); }} route[1] {{ {word}; }}') == []


def test_drop_marks_the_message_and_exit_does_not() -> None:
    msg = message()
    result("route { exit; }", msg)
    assert not msg.dropped
    result("route { drop; }", msg)
    assert msg.dropped


@pytest.mark.parametrize(
    ("written", "value"), [("return", 1), ("return()", 1), ("return(5)", 5), ("return(-3)", -3), ("return(0x10)", 16)]
)
def test_return_leaves_the_block_with_a_number(written: str, value: int) -> None:
    assert result(f"route {{ {written}; }}") == value


def test_a_function_that_returns_0_ends_the_script_from_a_statement_and_from_a_condition() -> None:
    assert marks('route { give("0"); mark("no"); }') == []
    assert marks('route { if (give("0")) mark("no"); else mark("no"); mark("no"); }') == []
    assert marks('route { if (1 && !(give("-1") || give("0"))) mark("no"); mark("no"); }') == []


def test_a_called_block_is_true_unless_its_value_is_negative() -> None:
    text = 'route {{ if (route(1)) mark("yes"); else mark("no"); }} route[1] {{ {0} }}'
    assert marks(text.format("return(2);")) == ["yes"]
    assert marks(text.format("return(-2);")) == ["no"]
    assert marks(text.format("")) == ["yes"]


def test_a_block_without_return_has_the_value_of_its_last_function() -> None:
    text = 'route {{ if (route(1)) mark("yes"); else mark("no"); }} route[1] {{ {0} }}'
    assert marks(text.format('give("-1");')) == ["no"]
    assert marks(text.format('give("-1"); give("3");')) == ["yes"]
    assert marks(text.format('if (give("-1")) { }')) == ["no"]
    assert marks(text.format('give("-1"); $var(x) = 1;')) == ["yes"]


def test_blocks_have_numbers_or_names() -> None:
    assert marks('route { route(RELAY); route(0x10); } route[RELAY] { mark("a"); } route[16] { mark("b"); }') == [
        "a",
        "b",
    ]


def test_blocks_that_call_each_other_end_the_script_at_a_depth_of_100() -> None:
    text = 'route { route(1); mark("never"); } route[1] { mark("x"); route(2); } route[2] { route(1); }'
    assert marks(text) == ["x"] * 50


def test_every_kind_of_block_is_found_by_its_kind_and_name() -> None:
    routes = compiled(
        "route { exit; } route[1] { exit; } onreply_route { exit; } onreply_route[2] { exit; } "
        "failure_route[3] { exit; } branch_route[four] { exit; } error_route { exit; }"
    ).routes
    assert routes.request is not None
    assert routes.reply is not None
    assert routes.error is not None
    assert [list(routes.onreply), list(routes.failure), list(routes.branch)] == [["2"], ["3"], ["four"]]
    assert [
        marks(f'{kind} {{ mark("a"); }} route {{ exit; }}', kind=number)
        for kind, number in (("onreply_route", ONREPLY), ("failure_route[1]", FAILURE), ("branch_route[1]", BRANCH))
    ] == [["a"]] * 3


# -- switch -----------------------------------------------------------------------------------------------------

SWITCH = """route {{ switch ({0}) {{
    case "invite": mark("text"); break;
    case 7: mark("seven");
    case -1: mark("minus"); if (1) {{ break; }} mark("never");
    case "b": mark("b");
    default: mark("default");
}} mark("end"); }}"""


@pytest.mark.parametrize(
    ("variable", "seen"),
    [
        ("$rm", ["text", "end"]),
        ("$var(seven)", ["seven", "minus", "end"]),
        ("$var(minus)", ["minus", "end"]),
        ("$var(b)", ["b", "end"]),
        ("$var(other)", ["default", "end"]),
        ("$avp(s:absent)", ["default", "end"]),
    ],
)
def test_switch_takes_the_first_case_that_matches(variable: str, seen: list[str]) -> None:
    text = SWITCH.format(variable).replace(
        "route {", 'route { $var(seven) = 7; $var(minus) = -1; $var(b) = "B"; $var(other) = 99;', 1
    )
    assert marks(text) == seen


def test_without_break_a_case_runs_into_the_next_but_not_into_default() -> None:
    assert marks('route { switch ($rm) { case "INVITE": mark("a"); case "x": mark("b"); default: mark("c"); } }') == [
        "a",
        "b",
    ]


def test_a_switch_inside_a_switch_keeps_its_own_cases_and_breaks() -> None:
    text = """route { switch ($rm) { case "INVITE":
                  switch ($rU) { case "x": mark("no"); default: mark("inner"); break; }
                  mark("after"); case "y": mark("fallen"); esac; default: mark("no"); } }"""
    assert marks(text) == ["inner", "after", "fallen"]


# -- assignments --------------------------------------------------------------------------------------------------


def test_the_result_of_a_function_can_be_assigned() -> None:
    assert marks('route { $var(x) = give("7"); mark("$var(x)"); }') == ["7"]
    assert marks('route { $var(x) = give("-1") + 3; mark("$var(x)"); }') == ["2"]
    assert marks('route { $var(x) = route(1); mark("$var(x)"); } route[1] { return(5); }') == ["5"]


def test_a_function_that_returns_0_ends_the_script_from_an_assignment_too() -> None:
    assert marks('route { $var(x) = give("0"); mark("no"); }') == []
    assert marks('route { $var(x) = route(1); mark("no"); } route[1] { exit; }') == []


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('method=="INVITE"', "1"),
        ('method=="ACK"', "0"),
        ('$rm=="INVITE"', "1"),
        ("(uri==myself)", "0"),
        ("uri!=myself", "1"),
        ('$rm == "INVITE" + 1', None),
        ('($rm == "INVITE") + 1', "2"),
        ("msg:len > 10", "1"),
        ("$rm", "INVITE"),
        ("word", "word"),
    ],
)
def test_a_comparison_can_be_assigned_as_1_or_0(expression: str, value: str | None) -> None:
    text = f'route {{ $var(x) = {expression}; mark("$var(x)"); }}'
    if value is None:
        assert len(marks(text)) == 1
    else:
        assert marks(text) == [value]


def test_an_indexed_avp_is_assigned_as_one_without_index() -> None:
    text = 'route { $avp(s:x) = "a"; $avp(s:x[0]) = "b"; mark("$avp(s:x[0]) $avp(s:x[1])"); }'
    assert marks(text) == ["b a"]


# -- while ------------------------------------------------------------------------------------------------------


def test_while_repeats_as_long_as_its_condition_holds() -> None:
    text = 'route { $var(i) = 0; while ($var(i) < 3) { mark("$var(i)"); $var(i) = $var(i) + 1; } mark("end"); }'
    assert marks(text) == ["0", "1", "2", "end"]
    assert marks('route { while (0) mark("no"); mark("end"); }') == ["end"]
    assert marks('route { $var(i) = 2; while $var(i) > 0 $var(i) = $var(i) - 1; mark("$var(i)"); }') == ["0"]


def test_break_leaves_the_innermost_while_or_switch() -> None:
    text = """route { $var(i) = 0; while (1) { $var(i) = $var(i) + 1;
        switch ($var(i)) { case 1: mark("one"); break;
                           case 2: mark("two"); while (1) { break; } mark("in two"); break; }
        if ($var(i) == 3) break; mark("next"); } mark("end"); }"""
    assert marks(text) == ["one", "next", "two", "in two", "next", "end"]


def test_a_while_is_left_after_its_limit_with_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert marks('route {\nwhile (1) mark("x"); mark("end"); }') == ["x"] * 100 + ["end"]
    assert [record.getMessage() for record in caplog.records] == [
        "openser.cfg:2: while ends after 100 rounds (max_while_loops)"
    ]


def test_the_limit_of_while_can_be_set_and_reached_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    text = 'max_while_loops=3 route { $var(i) = 0; while ($var(i) < 3) { $var(i) = $var(i) + 1; mark("x"); } }'
    assert marks(text) == ["x"] * 3
    assert caplog.records == []
    assert marks(text.replace("=3", "=2", 1)) == ["x"] * 2


def test_a_while_inside_a_while_has_a_limit_of_its_own() -> None:
    text = 'max_while_loops=2 route { while (1) { while (1) { mark("inner"); } mark("outer"); } }'
    assert marks(text) == ["inner", "inner", "outer"] * 2


def test_the_script_ends_from_inside_a_while() -> None:
    assert marks('route { while (1) { exit; } mark("no"); }') == []
    assert marks('route { while (give("0")) { } mark("no"); }') == []
    assert marks('route { route(1); mark("after"); } route[1] { while (1) { return(1); } mark("no"); }') == ["after"]


# -- logic ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("1", True),
        ("0", False),
        ("-1", True),
        ("!1", False),
        ("not 0", True),
        ("!!1", True),
        ("(1)", True),
        ("1 && 1", True),
        ("1 and 0", False),
        ("0 || 1", True),
        ("0 or 0", False),
        ("1 || 1 && 0", False),
        ("1 || (1 && 0)", True),
        ("0 && 1 || 1", True),
        ("!1 || 1", True),
        ("!(1 || 1)", False),
    ],
)
def test_and_and_or_bind_equally_from_the_left(condition: str, value: bool) -> None:
    assert holds(condition) is value


def test_conditions_stop_as_soon_as_they_are_decided() -> None:
    assert marks('route { if (1 || mark("no")) ; if (0 && mark("no")) ; if (0 || mark("yes")) ; }') == ["yes"]


@pytest.mark.parametrize(("number", "value"), [(1, True), (7, True), (-1, False)])
def test_a_function_is_true_above_0(number: int, value: bool) -> None:
    assert holds(f'give("{number}")') is value
    assert holds(f'!give("{number}")') is not value


# -- operands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ('method=="INVITE"', True),
        ("method==INVITE", True),
        ('method=="invite"', True),
        ('method!="ACK"', True),
        ('method=~"^INV|ACK"', True),
        ('method!~"OPT"', True),
        ('!method=="INVITE"', False),
        ("method==$rm", True),
        ("method!=$rU", True),
    ],
)
def test_method(condition: str, value: bool) -> None:
    assert holds(condition) is value


def test_method_of_a_reply_is_that_of_its_request() -> None:
    assert marks('onreply_route { if (method=="INVITE") mark("yes"); } route { exit; }', message(REPLY), ONREPLY) == [
        "yes"
    ]


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ('uri=~"^sip:bob"', True),
        ('uri=~"^SIP:BOB.*BILOXI"', True),
        ('uri!~"carol"', True),
        ('uri=="sip:x@y"', False),
        ('uri=="SIP:bob:secret@biloxi.example:5070;transport=tcp"', True),
        ('uri!="sip:x@y"', True),
        ("uri==$ru", True),
        ('from_uri=="sip:alice@atlanta.example;user=phone"', True),
        ('from_uri=~"alice"', True),
        ('from_uri!~"a"', False),
        ('to_uri=="SIPS:bob@biloxi.example"', True),
        ('to_uri!="x"', True),
        ("to_uri==$tu", True),
    ],
)
def test_uris(condition: str, value: bool) -> None:
    assert holds(condition) is value


def test_uri_and_status_in_a_reply_route_are_the_status_code() -> None:
    text = 'onreply_route {{ if ({0}) mark("yes"); }} route {{ exit; }}'
    for condition, value in (
        ('status=="180"', True),
        ("status==180", True),
        ('uri=~"18[0-9]"', True),
        ("status!=180", False),
    ):
        assert (marks(text.format(condition), message(REPLY), ONREPLY) == ["yes"]) is value


def test_unreadable_addresses_make_comparisons_false() -> None:
    msg = message(BROKEN)
    assert not holds('from_uri=="x"', msg)
    assert not holds('from_uri!="x"', msg)
    assert not holds('to_uri=~"."', msg)
    assert not holds("uri==myself", msg)
    assert not holds("from_uri==myself", msg)
    assert msg.error is not None


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("uri==myself", True),
        ("myself==uri", True),
        ("uri!=myself", False),
        ("!uri==myself", False),
        ("from_uri==myself", False),
        ("to_uri==myself", True),
        ("src_ip==myself", False),
        ("dst_ip==myself", True),
    ],
)
def test_myself(condition: str, value: bool) -> None:
    core = core_at((b"biloxi.example", 0), (b"192.0.2.1", 5060))
    assert holds(condition, core=core) is value


def test_myself_looks_at_the_port_that_defaults_to_5060() -> None:
    assert holds("uri==myself", message(BARE), core=core_at((b"biloxi.example", 5060)))
    assert not holds("uri==myself", message(BARE), core=core_at((b"biloxi.example", 5070)))
    assert holds("uri==myself", core=core_at((b"biloxi.example", 5070)))


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("src_ip==203.0.113.9", True),
        ("src_ip!=203.0.113.9", False),
        ("src_ip==203.0.113.0/24", True),
        ("src_ip==203.0.113.0/255.255.255.0", True),
        ("src_ip==10.0.0.0/8", False),
        ("src_ip==203.1.113.0/255.0.255.0", True),
        ("src_ip!=203.1.113.0/255.0.255.0", False),
        ("src_ip==203.1.112.0/255.0.255.0", False),
        ("src_ip!=10.0.0.0/8", True),
        ('src_ip=="203.0.113.9"', True),
        ('src_ip=="203.0.113.0/24"', True),
        ('src_ip=~"^203\\.0"', True),
        ('src_ip!~"^203"', False),
        ("src_ip==[::1]", False),
        ("src_ip==2001:db8::1", False),
        ("dst_ip==192.0.2.1", True),
        ('dst_ip=~"^192"', True),
        ("src_ip==$si", True),
    ],
)
def test_addresses(condition: str, value: bool) -> None:
    assert holds(condition) is value


def test_addresses_of_ipv6() -> None:
    msg = message(BARE, Recorder(host="2001:db8::2"))
    msg.source_host = "2001:db8::1"
    for condition in (
        "src_ip==2001:db8::1",
        "src_ip==[2001:DB8:0::1]",
        "src_ip==2001:db8::/32",
        "af==inet6",
        "dst_ip==[2001:db8::2]",
    ):
        assert holds(condition, msg), condition


def test_a_host_name_is_resolved() -> None:
    core = Core()
    core.resolver.address = {b"phone.example.com": "203.0.113.9"}.get  # type: ignore[method-assign, assignment]
    assert holds("src_ip==phone.example.com", core=core)
    assert holds('src_ip=="phone.example.com"', core=core)
    assert holds("src_ip!=other.example.com", core=core)


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("src_port==5099", True),
        ("src_port!=5060", True),
        ("src_port<5099", False),
        ("src_port<=5099", True),
        ("src_port>0x10", True),
        ("src_port>=07000", True),
        ("dst_port==5060", True),
        ("proto==udp", True),
        ("proto==UDP", True),
        ("proto==1", True),
        ("proto!=tcp", True),
        ("proto==TLS", False),
        ("af==inet", True),
        ("af==INET6", False),
        ("msg:len<max_len", True),
        ("msg:len>=2048", False),
        ("msg:len>100", True),
        ("src_port==$sp", True),
    ],
)
def test_numbers(condition: str, value: bool) -> None:
    assert holds(condition) is value


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("$rU", True),
        ("$avp(s:absent)", False),
        ("$var(zero)", False),
        ("$var(five)", True),
        ("!$rU", False),
        ('$rU=="BOB"', True),
        ("$rU==bob", True),
        ('$rU!="bob"', False),
        ('$rU=~"^b.b$"', True),
        ('$rU!~"^b"', False),
        ("$var(five)==5", True),
        ("$var(five)!=5", False),
        ("$var(five)>4", True),
        ("$var(five)<10", True),
        ("$var(five)<=5", True),
        ("$var(five)>=6", False),
        ('$var(five)=="5"', True),
        ("$var(text)==5", True),
        ('$rU<"carol"', True),
        ('$rU>"BOB"', False),
        ('$rU>="BOB"', True),
        ('$rU<="BOB"', True),
        ("$rU==$tU", True),
        ("$rU!=$fU", True),
        ("$var(five)==$var(text)", True),
        ("$rU=~$var(re)", True),
        ("$rU!~$var(re)", False),
        ("$rU=~$var(bad)", False),
        ("$rU==null", False),
        ("$rU!=NULL", True),
        ("$avp(s:absent)==null", True),
        ("$avp(s:absent)!=null", False),
        ('$avp(s:absent)==""', False),
        ('$avp(s:absent)!="x"', False),
        ("$avp(s:absent)<5", False),
        ('$avp(s:absent)=~"."', False),
        ("$avp(s:absent)!=$rU", False),
        ('$(ru{uri.host})=="biloxi.example"', True),
        ("$var(five)==yes", False),
    ],
)
def test_pseudo_variables(condition: str, value: bool) -> None:
    before = '$var(zero) = 0; $var(five) = 5; $var(text) = "5"; $var(re) = "^B"; $var(bad) = "a(";'
    assert holds(condition, before=before) is value


# -- arithmetic and assignment ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("-7 / 2", "-3"),
        ("-7 % 3", "-1"),
        ("6 & 3", "2"),
        ("6 | 3", "7"),
        ("6 ^ 3", "5"),
        ("~0", "-1"),
        ("1 | 2 & 2 ^ 2", "1"),
        ("0x10 + 010", "24"),
        ("yes", "1"),
        ('"a" + "b"', "ab"),
        ('"a" + 1', "a1"),
        ("$var(n) + 1", "11"),
        ("$var(n) - 1", "9"),
        ("$var(n) * $var(n)", "100"),
        ("$var(n) / 3", "3"),
        ("$var(n) % 3", "1"),
        ("-$var(n)", "-10"),
        ("+$var(n)", "10"),
        ("~$var(n)", "-11"),
        ("$var(n) & 2", "2"),
        ("$var(n) | 1", "11"),
        ("$var(n) ^ 3", "9"),
        ('$rU + "@" + $rd', "bob@biloxi.example"),
        ("2147483647 + 1", "-2147483648"),
        ("bare", "bare"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_arithmetic(expression: str, value: str) -> None:
    assert marks(f'route {{ $var(n) = 10; $var(x) = {expression}; mark("$var(x)"); }}') == [value]


@pytest.mark.parametrize(
    ("op", "value"),
    [("+=", "13"), ("-=", "7"), ("*=", "30"), ("/=", "3"), ("%=", "1"), ("&=", "2"), ("|=", "11"), ("^=", "9")],
)
def test_compound_assignments_do_what_they_say(op: str, value: str) -> None:
    assert marks(f'route {{ $var(x) = 10; $var(x) {op} 3; mark("$var(x)"); }}') == [value]


def test_what_has_no_value_is_not_assigned() -> None:
    text = 'route {{ $var(x) = 3; $var(z) = 0; if (($var(x) = {0})) mark("yes"); mark("$var(x)"); }}'
    for expression in ("$avp(s:absent)", "$avp(s:absent) + 1", "1 / $var(z)", "1 % $var(z)", "$rU * 2"):
        assert marks(text.format(expression)) == ["3"], expression
    assert marks(text.format(4)) == ["yes", "4"]


def test_null_takes_a_value_away() -> None:
    assert marks('route { $avp(s:a) = "x"; $avp(s:a) = null; if ($avp(s:a)==null) mark("gone"); }') == ["gone"]


def test_the_request_uri_can_be_assigned() -> None:
    msg = message()
    marks('route { $ru = "sip:new@host"; $rU = "newer"; }', msg)
    assert msg.ruri == b"sip:newer@host"


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("[1]", True),
        ("[0]", False),
        ("[1 - 1]", False),
        ('["a" + ""]', True),
        ('[""]', False),
        ("[$rU]", True),
        ("[$avp(s:absent)]", False),
        ("[$var(x) = 0]", False),
        ("[$var(x) = 2]", True),
        ("($var(x) = 0)", True),
        ("$var(x) = 0", True),
    ],
)
def test_expressions_as_conditions(condition: str, value: bool) -> None:
    assert holds(condition) is value


# -- calls ------------------------------------------------------------------------------------------------------


def test_arguments_are_strings_numbers_words_and_variables() -> None:
    text = """route { mf_process_maxfwd_header(10); mf_process_maxfwd_header("0x10");
              append_hf($rU); append_hf("a $rU b"); save("location"); save(location, '0'); search("^x");
              name_of("$rU"); name_of($rU); mark(10.0.0.1); }"""
    assert calls(text) == [
        ("mf_process_maxfwd_header", 10),
        ("mf_process_maxfwd_header", 16),
        ("append_hf", b"bob"),
        ("append_hf", b"a bob b"),
        ("save", b"location", b""),
        ("save", b"location", b"0"),
        ("search", b"^x"),
        ("name_of", b"bob"),
        ("name_of", b"bob"),
        ("mark", b"10.0.0.1"),
    ]


def test_core_functions_are_called_with_and_without_parentheses() -> None:
    msg = message()
    assert marks(
        'route { force_rport; setflag(3); append_branch; if (isflagset(3)) mark("set"); rewriteuser("x"); }', msg
    ) == ["set"]
    assert (msg.rport_forced, msg.flags, len(msg.branches), msg.uri.user) == (True, 8, 1, b"x")


def test_blocks_are_referred_to_by_canonical_names() -> None:
    text = 'route { t_on_failure("01"); t_on_reply("two"); } failure_route[1] { exit; } onreply_route[two] { exit; }'
    assert calls(text) == [("t_on_failure", "1"), ("t_on_reply", "two")]


def test_rc_is_the_result_of_the_last_function() -> None:
    text = 'route { give("5"); mark("$rc"); if (give("-3")) ; if ($retcode == -3) mark("three"); }'
    assert marks(text) == ["5", "three"]
    assert marks('route { route(1); mark("$rc"); } route[1] { return(7); }') == ["7"]
    assert marks('route { if (route(1)) ; if ($rc < 0) mark("below"); } route[1] { return(-7); }') == ["below"]


def test_rc_is_not_kept_where_nobody_looks_at_it() -> None:
    msg = message()
    marks('route { give("5"); }', msg)
    assert msg.retcode == 0


def test_a_malformed_message_gives_a_functions_own_code() -> None:
    assert marks('route { malformed(); mark("$rc"); }') == ["-5"]


# -- error_route --------------------------------------------------------------------------------------------------


def test_error_route_runs_after_a_function_that_left_an_error() -> None:
    msg = message()
    assert marks('route { malformed(); mark("after"); } error_route { mark("error"); }', msg) == ["error", "after"]
    assert msg.error is None


def test_error_route_that_exits_ends_the_script() -> None:
    assert marks('route { if (malformed()) ; mark("after"); } error_route { mark("error"); exit; }') == ["error"]


def test_error_route_does_not_run_inside_itself_or_for_replies() -> None:
    assert marks('route { malformed(); } error_route { malformed(); mark("error"); }') == ["error"]
    assert marks(
        'route { exit; } onreply_route { malformed(); mark("after"); } error_route { mark("error"); }',
        message(REPLY),
        ONREPLY,
    ) == ["after"]


# -- lexical rules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r'"a\tb\n\r\a\"\\"', 'a\tb\n\r\a"\\'),
        (r'"\x41\012"', "A\n"),
        (r"'a\tb'", r"a\tb"),
        (r'"a\.b\d"', r"a\.b\d"),
        ('"a\\\nb"', "ab"),
        ('"# no comment /* either */"', "# no comment /* either */"),
        ("''", ""),
    ],
)
def test_strings(written: str, text: str) -> None:
    assert marks(f"route {{ mark({written}); }}") == [text]


def test_escaped_bytes_are_bytes() -> None:
    assert calls(r'route { mark("\xff\x80"); }') == [("mark", b"\xff\x80")]


def test_comments_nest_and_keep_line_numbers() -> None:
    with pytest.raises(ConfigErrors) as raised:
        script("# one\n/* two /* \n three */\n*/ route { # rest\n  nosuch(); /* here */ }")
    assert (raised.value.errors[0].line, raised.value.errors[0].column) == (5, 3)


def test_a_backslash_joins_lines() -> None:
    assert marks('route { mark( \\\n "a"); }') == ["a"]
