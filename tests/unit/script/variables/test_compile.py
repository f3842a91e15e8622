"""Every pseudo-variable of the core on real messages, how modules add theirs, and what is refused."""

import os
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.core.destinations import Branch
from openserd.core.module import Module, Pv
from openserd.errors import ConfigError, ResourceError, ScriptError, SipError
from openserd.script.variables.compile import compile_variable, known_names
from tests.unit.script.pv_samples import BARE, BROKEN, INVITE, REPLY, Recorder, environment, message

ENV = environment()
AVPS = ("avp", "a", "avpt", "avpg", "avps", "avpp", "at", "ag", "as", "ap")

#: name, value in INVITE, in BARE, in REPLY, in BROKEN
VALUES: list[tuple[str, Any, Any, Any, Any]] = [
    ("$$", b"$", b"$", b"$", b"$"),
    ("$ai", b"sip:asserted@atlanta.example", None, None, None),
    ("$ar", b"atlanta", b"", b"", None),
    ("$au", b"alice", b"", b"", None),
    ("$Au", b"alice@atlanta", b"sip:atlanta.example", b"sip:alice@atlanta.example", None),
    ("$bf", 0, 0, 0, 0),
    ("$bF", 0, 0, 0, 0),
    ("$bR", b"", b"", None, b""),
    ("$br", None, None, None, None),
    ("$ci", b"a84b4c76e66710", b"1", b"1", None),
    ("$cl", 5, b"", 0, None),
    ("$cs", b"314159", b"7", b"7", None),
    ("$cT", b"text/plain", b"", b"", b""),
    ("$ct", b"<sip:alice@192.0.2.4:5066>;expires=60", None, None, None),
    ("$dd", b"", b"", b"", b""),
    ("$di", b"sip:last@atlanta.example", None, None, None),
    ("$dp", b"", b"", b"", b""),
    ("$dP", b"", b"", b"", b""),
    ("$ds", None, None, None, None),
    ("$du", b"", b"", b"", b""),
    ("$duri", b"", b"", b"", b""),
    ("$err.class", None, None, None, None),
    ("$err.info", None, None, None, None),
    ("$err.level", None, None, None, None),
    ("$err.rcode", None, None, None, None),
    ("$err.rreason", None, None, None, None),
    ("$fd", b"atlanta.example", b"atlanta.example", b"atlanta.example", None),
    ("$from.domain", b"atlanta.example", b"atlanta.example", b"atlanta.example", None),
    ("$fn", b'"Alice A."', b"", b"", None),
    ("$fs", None, None, None, None),
    ("$ft", b"from1", b"", b"from1", None),
    ("$fu", b"sip:alice@atlanta.example;user=phone", b"sip:atlanta.example", b"sip:alice@atlanta.example", None),
    ("$from", b"sip:alice@atlanta.example;user=phone", b"sip:atlanta.example", b"sip:alice@atlanta.example", None),
    ("$fU", b"alice", b"", b"alice", None),
    ("$from.user", b"alice", b"", b"alice", None),
    ("$mb", INVITE, BARE, REPLY, BROKEN),
    ("$mf", 0, 0, 0, 0),
    ("$mF", 0, 0, 0, 0),
    ("$mi", 42, 42, 42, 42),
    ("$ml", len(INVITE), len(BARE), len(REPLY), len(BROKEN)),
    ("$od", b"biloxi.example", b"biloxi.example", None, None),
    ("$op", 5070, 5060, None, None),
    ("$oP", b"tcp", b"UDP", None, None),
    ("$oU", b"bob", b"", None, None),
    ("$ou", b"sip:bob:secret@biloxi.example:5070;transport=tcp", b"sip:biloxi.example", None, b"<none>"),
    ("$ouri", b"sip:bob:secret@biloxi.example:5070;transport=tcp", b"sip:biloxi.example", None, b"<none>"),
    ("$pd", b"atlanta.example", None, None, None),
    ("$pn", b'"Preferred"', None, None, None),
    ("$pp", os.getpid(), os.getpid(), os.getpid(), os.getpid()),
    ("$pu", b"sip:wanted@atlanta.example", None, None, None),
    ("$pU", b"wanted", None, None, None),
    ("$rb", b"hello", b"", b"", None),
    ("$rc", 0, 0, 0, 0),
    ("$retcode", 0, 0, 0, 0),
    ("$rd", b"biloxi.example", b"biloxi.example", None, None),
    ("$ruri.domain", b"biloxi.example", b"biloxi.example", None, None),
    ("$re", b"sip:remote@atlanta.example", None, None, None),
    ("$Ri", b"192.0.2.1", b"192.0.2.1", b"192.0.2.1", b"192.0.2.1"),
    ("$rm", b"INVITE", b"OPTIONS", b"INVITE", b"OPTIONS"),
    ("$Rp", 5060, 5060, 5060, 5060),
    ("$rp", 5070, 5060, None, None),
    ("$rP", b"tcp", b"UDP", None, None),
    ("$rr", None, None, b"Ringing Now", None),
    ("$rs", None, None, 180, None),
    ("$rt", b"sip:carol@chicago.example", None, None, None),
    ("$ru", b"sip:bob:secret@biloxi.example:5070;transport=tcp", b"sip:biloxi.example", None, b"<none>"),
    ("$ruri", b"sip:bob:secret@biloxi.example:5070;transport=tcp", b"sip:biloxi.example", None, b"<none>"),
    ("$rU", b"bob", b"", None, None),
    ("$ruri.user", b"bob", b"", None, None),
    ("$sf", 0, 0, 0, 0),
    ("$sF", 0, 0, 0, 0),
    ("$si", b"203.0.113.9", b"203.0.113.9", b"203.0.113.9", b"203.0.113.9"),
    ("$src_ip", b"203.0.113.9", b"203.0.113.9", b"203.0.113.9", b"203.0.113.9"),
    ("$sp", 5099, 5099, 5099, 5099),
    ("$td", b"biloxi.example", b"biloxi.example", b"biloxi.example", None),
    ("$to.domain", b"biloxi.example", b"biloxi.example", b"biloxi.example", None),
    ("$Tf", *[time.ctime(1164412800).encode()] * 4),
    ("$tn", b"Bob", b"", b"", None),
    ("$Ts", 1164412800, 1164412800, 1164412800, 1164412800),
    ("$tt", b"", b"", b"to1", None),
    ("$tu", b"sips:bob@biloxi.example", b"sip:biloxi.example", b"sip:bob@biloxi.example", None),
    ("$to", b"sips:bob@biloxi.example", b"sip:biloxi.example", b"sip:bob@biloxi.example", None),
    ("$tU", b"bob", b"", b"bob", None),
    ("$to.user", b"bob", b"", b"bob", None),
    ("$ua", b"Phone 1.0", None, None, None),
    (
        "$hdr(Via)",
        b"SIP/2.0/UDP proxy.example;branch=z9hG4bK2",
        b"SIP/2.0/UDP client.example",
        b"SIP/2.0/UDP proxy.example",
        b"SIP/2.0/UDP client.example",
    ),
    (
        "$h(v)",
        b"SIP/2.0/UDP proxy.example;branch=z9hG4bK2",
        b"SIP/2.0/UDP client.example",
        b"SIP/2.0/UDP proxy.example",
        b"SIP/2.0/UDP client.example",
    ),
    ("$avp(s:nothing)", None, None, None, None),
]
EVERY = [compile_variable(row[0], ENV) for row in VALUES]


@pytest.mark.parametrize(("name", "invite", "bare", "reply", "broken"), VALUES, ids=[row[0] for row in VALUES])
def test_each_variable_of_the_core(name: str, invite: Any, bare: Any, reply: Any, broken: Any) -> None:
    variable = compile_variable(name, ENV)
    assert variable.get(message(INVITE)) == invite
    assert variable(message(BARE)) == bare
    assert variable.get(message(REPLY)) == reply
    assert variable.get(message(BROKEN)) == broken


def test_the_table_above_is_complete() -> None:
    listed = {row[0][1:].partition("(")[0] for row in VALUES}
    named = {*AVPS, "var", "v", "env"}  # further down
    assert set(known_names(ENV)) - listed - named == set()


@given(st.sampled_from([INVITE, BARE, REPLY]), st.integers(40, 1400), st.integers(0, 6), st.binary(max_size=4))
def test_no_message_makes_a_variable_fail(buf: bytes, at: int, length: int, put: bytes) -> None:
    try:
        msg = message(buf[:at] + put + buf[at + length :])
    except SipError:
        return
    msg.dst_uri = put
    for variable in EVERY:
        assert isinstance(variable.get(msg), bytes | int | None)
        assert isinstance(variable.text(msg), bytes)


def test_what_cannot_be_read_leaves_its_error_on_the_message() -> None:
    msg = message(BROKEN)
    assert compile_variable("$fu", ENV).get(msg) is None
    assert isinstance(msg.error, SipError)


def test_credentials_of_ack_and_cancel_do_not_count() -> None:
    msg = message(INVITE.replace(b"INVITE", b"CANCEL"))
    assert compile_variable("$au", ENV).get(msg) == b""
    assert compile_variable("$ar", ENV).get(msg) == b""


def test_credentials_without_realm_charge_the_user_alone() -> None:
    msg = message(INVITE.replace(b'realm="atlanta",', b""))
    assert compile_variable("$Au", ENV).get(msg) == b"alice"


# -- what the script has changed ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "attribute"), [("mf", "flags"), ("bf", "branch_flags"), ("sf", "script_flags")])
def test_flags_read_as_a_number_and_print_in_decimal_or_hexadecimal(name: str, attribute: str) -> None:
    msg = message()
    setattr(msg, attribute, 0xA1)
    decimal, hexadecimal = compile_variable(f"${name}", ENV), compile_variable(f"${name[0]}F", ENV)
    assert (decimal.get(msg), decimal.text(msg)) == (0xA1, b"161")
    assert (hexadecimal.get(msg), hexadecimal.text(msg)) == (0xA1, b"000000a1")


def test_the_last_return_code() -> None:
    msg = message()
    msg.retcode = -3
    assert compile_variable("$rc", ENV).get(msg) == compile_variable("$retcode", ENV).get(msg) == -3


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SipError("Bad From", 17, 484), (1, 3, b"Bad From", 484, b"Bad From")),
        (ResourceError("table full"), (3, 3, b"table full", 500, b"table full")),
    ],
)
def test_the_last_error(error: Any, expected: tuple[Any, ...]) -> None:
    msg = message()
    msg.error = error
    names = ("class", "level", "info", "rcode", "rreason")
    assert tuple(compile_variable(f"$err.{name}", ENV).get(msg) for name in names) == expected


def test_the_forced_socket() -> None:
    msg = message()
    msg.force_listener = Recorder("tcp", "2001:db8::1", 5062)
    assert compile_variable("$fs", ENV).get(msg) == b"tcp:[2001:db8::1]:5062"


def test_the_destination_uri_and_its_parts() -> None:
    msg = message()
    msg.dst_uri = b"sip:gw.example:5080;transport=tls"
    found = [compile_variable(name, ENV).get(msg) for name in ("$du", "$duri", "$dd", "$dp", "$dP")]
    assert found == [msg.dst_uri, msg.dst_uri, b"gw.example", 5080, b"tls"]
    msg.dst_uri = b"sip:gw.example"
    assert [compile_variable(name, ENV).get(msg) for name in ("$dp", "$dP")] == [5060, b"UDP"]
    msg.dst_uri = b"nonsense"
    assert [compile_variable(name, ENV).get(msg) for name in ("$dd", "$dp", "$dP")] == [None, None, None]


def test_branches_and_the_destination_set() -> None:
    msg = message(BARE)
    msg.branches += [Branch(b"sip:a@x", 500), Branch(b"sip:b@y")]
    assert compile_variable("$br", ENV).get(msg) == b"sip:a@x"
    assert compile_variable("$bR", ENV).get(msg) == b"<sip:a@x>;q=0.5, sip:b@y"
    assert compile_variable("$ds", ENV).get(msg) == b"Contact: <sip:a@x>;q=0.5, <sip:b@y>"
    msg.set_ruri(b"sip:c@z")
    assert compile_variable("$ds", ENV).get(msg) == b"Contact: <sip:c@z>, <sip:a@x>;q=0.5, <sip:b@y>"


# -- writing --------------------------------------------------------------------------------------------


def test_writing_the_request_uri_changes_it_and_not_the_original() -> None:
    msg = message()
    compile_variable("$ru", ENV).set(msg, b"sip:new@host.example")
    assert (msg.ruri, msg.original_ruri) == (
        b"sip:new@host.example",
        b"sip:bob:secret@biloxi.example:5070;transport=tcp",
    )
    assert compile_variable("$ou", ENV).get(msg) == msg.original_ruri
    assert compile_variable("$oU", ENV).get(msg) == b"bob"
    assert compile_variable("$rU", ENV).get(msg) == b"new"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("$rU", b"carol", b"sip:carol:secret@biloxi.example:5070;transport=tcp"),
        ("$ruri.user", 1234, b"sip:1234:secret@biloxi.example:5070;transport=tcp"),
        ("$rU", None, b"sip:biloxi.example:5070;transport=tcp"),
        ("$rd", b"gw.example", b"sip:bob:secret@gw.example:5070;transport=tcp"),
        ("$ruri.domain", b"[2001:db8::7]", b"sip:bob:secret@[2001:db8::7]:5070;transport=tcp"),
    ],
)
def test_writing_parts_of_the_request_uri(name: str, value: Any, expected: bytes) -> None:
    msg = message()
    variable = compile_variable(name, ENV)
    assert variable.writable
    variable.set(msg, value)
    assert msg.ruri == expected
    assert compile_variable("$ru", ENV).get(msg) == expected


def test_writing_and_resetting_the_destination_uri() -> None:
    msg = message()
    variable = compile_variable("$du", ENV)
    variable.set(msg, b"sip:gw.example")
    assert msg.dst_uri == b"sip:gw.example"
    variable.set(msg, None)
    assert msg.dst_uri is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("$ru", None),
        ("$ru", b""),
        ("$rd", None),
        ("$rd", b"no host"),
        ("$rU", b"a b"),
        ("$du", b"nonsense"),
        ("$br", None),
        ("$si", b"1.2.3.4"),
        ("$hdr(Via)", b"x"),
        ("$(ru{s.len})", 1),
    ],
)
def test_what_cannot_be_written_is_a_script_error(name: str, value: Any) -> None:
    msg = message()
    before = msg.ruri
    with pytest.raises(ScriptError):
        compile_variable(name, ENV).set(msg, value)
    assert msg.ruri == before and msg.dst_uri is None


def test_only_these_can_be_assigned_to() -> None:
    env = environment()
    writable = {
        name
        for name in known_names(env)
        if compile_variable(f"${name}(s)" if takes_name(name) else f"${name}", env).writable
    }
    assert writable == {"ru", "ruri", "rU", "ruri.user", "rd", "ruri.domain", "du", "duri", "var", "v", *AVPS}


def test_env_is_what_the_environment_had_at_start() -> None:
    env = environment()
    env.core.environment = {"HOME": "/root"}
    assert compile_variable("$env(HOME)", env).get(message(BARE)) == b"/root"
    assert compile_variable("$(env(HOME){s.len})", env).get(message(BARE)) == 5
    assert compile_variable("$env(NOT_THERE)", env).get(message(BARE)) is None


def takes_name(name: str) -> bool:
    return name in {"env", "hdr", "h", "var", "v", *AVPS}


def test_a_module_may_add_a_branch_through_br() -> None:
    msg = message()
    variable = compile_variable("$br", ENV)
    variable.set(msg, b"sip:a@x")
    assert [branch.uri for branch in msg.branches] == [b"sip:a@x"] and not variable.writable


# -- header fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("$hdr(X-Colour)", b"red"),
        ("$h(x-COLOUR)", b"red"),
        ("$hdr(X-Colour[0])", b"red"),
        ("$hdr(X-Colour[1])", b"green"),
        ("$hdr(X-Colour[-1])", b"blue"),
        ("$hdr(X-Colour[-3])", b"red"),
        ("$hdr(X-Colour[3])", None),
        ("$hdr(X-Colour[-4])", None),
        ("$hdr(X-Colour[*])", b"red, green, blue"),
        ("$hdr(Via[*])", b"SIP/2.0/UDP proxy.example;branch=z9hG4bK2, SIP/2.0/UDP client.example:5066;branch=z9hG4bK1"),
        ("$(hdr(X-Colour)[1])", b"green"),
        ("$(hdr(X-Colour)[*])", b"red, green, blue"),
        ("$(h(Via)[-1])", b"SIP/2.0/UDP client.example:5066;branch=z9hG4bK1"),
        ("$hdr(v[1])", b"SIP/2.0/UDP client.example:5066;branch=z9hG4bK1"),
        ("$hdr(X-Colour)[1]", b"green"),
        ("$hdr(X-None)", None),
        ("$hdr(X-None[*])", None),
        ("$hdr(Route)", None),
    ],
)
def test_header_fields_by_name_and_place(name: str, expected: bytes | None) -> None:
    assert compile_variable(name, ENV).get(message()) == expected


# -- AVPs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", AVPS)
def test_avps_have_the_newest_value_first(family: str) -> None:
    msg = message()
    variable = compile_variable(f"${family}(s:x)", ENV)
    variable.set(msg, b"old")
    variable.set(msg, 7)
    assert variable.get(msg) == 7
    places = ("[0]", "[1]", "[-1]", "[2]", "[*]")
    found = [compile_variable(f"${family}(s:x{place})", ENV).get(msg) for place in places]
    assert found == [7, b"old", b"old", None, b"7, old"]
    assert compile_variable(f"$({family}(s:x)[1])", ENV).get(msg) == b"old"
    assert compile_variable(f"$({family}(s:x)[*])", ENV).get(msg) == b"7, old"
    variable.set(msg, None)
    assert variable.get(msg) is None and len(msg.avps) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("s:x", "x", True),
        ("S:x", "s:x", True),
        ("i:5", "I:5", True),
        ("i:0x10", "i:16", True),
        ("i:5", "s:5", False),
        ("i:5", "5", False),
        ("mail", "s:email", True),
        ("$mail", "s:email", True),
        ("uuid", "i:660", True),
        ("serial_branch", "i:0xff3434", True),
    ],
)
def test_names_of_avps(one: str, other: str, same: bool) -> None:
    env = environment(avp_aliases=" mail = s:email ; uuid=i:660;")
    msg = message()
    compile_variable(f"$avp({one})", env).set(msg, b"value")
    assert compile_variable(f"$avp({other})", env).get(msg) == (b"value" if same else None)


def test_a_class_reads_only_its_own_values_and_the_plain_name_all() -> None:
    msg = message()
    third, plain = compile_variable("$avp(i3:5)", ENV), compile_variable("$avp(i:5)", ENV)
    third.set(msg, b"class")
    plain.set(msg, b"plain")
    assert (third.get(msg), plain.get(msg)) == (b"class", b"plain")
    third.set(msg, None)
    assert (third.get(msg), plain.get(msg)) == (None, b"plain")


@pytest.mark.parametrize("text", ["$avp()", "$avp(i:x)", "$avp($unknown)", "$avp(s32:x)", "$avp", "$(avp)"])
def test_bad_names_of_avps_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        compile_variable(text, ENV)


@pytest.mark.parametrize("aliases", ["mail", "=s:x", "a=$b", "1a=s:x"])
def test_bad_aliases_are_refused(aliases: str) -> None:
    with pytest.raises(ConfigError, match="alias"):
        compile_variable("$avp(s:x)", environment(avp_aliases=aliases))


# -- script variables -----------------------------------------------------------------------------------


def test_script_variables_start_at_zero_and_live_across_messages() -> None:
    variable = compile_variable("$var(test_life)", ENV)
    assert variable.get(message()) == 0
    variable.set(message(), b"text")
    assert compile_variable("$v(test_life)", ENV).get(message(BARE)) == b"text"
    variable.set(message(), None)
    assert variable.get(message()) == 0


def test_script_variables_take_no_index_and_need_a_name() -> None:
    for text in ("$var(x)[1]", "$(var(x)[1])", "$var()", "$var"):
        with pytest.raises(ConfigError):
            compile_variable(text, ENV)


# -- colours --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("$Cxx", b"\x1b[0;39;49m"),
        ("$Csr", b"\x1b[0;30;41m"),
        ("$Cgy", b"\x1b[0;32;43m"),
        ("$Cbp", b"\x1b[0;34;45m"),
        ("$Ccw", b"\x1b[0;36;47m"),
        ("$Crs", b"\x1b[0;31;40m"),
        ("$Cyx", b"\x1b[0;33;49m"),
        ("$CRx", b"\x1b[1;31;49m"),
        ("$CPb", b"\x1b[1;35;44m"),
        ("$CWc", b"\x1b[1;37;46m"),
        ("$CXg", b"\x1b[1;39;42m"),
    ],
)
def test_colours(name: str, expected: bytes) -> None:
    assert compile_variable(name, ENV).get(message()) == expected


def test_colours_are_refused_where_the_caller_disables_them() -> None:
    with pytest.raises(ConfigError, match="colour"):
        compile_variable("$Crx", ENV, colours=False)


# -- modules --------------------------------------------------------------------------------------------


class Tm(Module):
    name = "tm"
    pvars = {"T_code": Pv(), "T_note": Pv(inner=True, writable=True), "T_last": Pv(writable=True), "T.bad": Pv()}

    def pv_T_code(self, msg: Any) -> int:
        return 404

    def pv_T_note(self, msg: Any, inner: bytes) -> bytes:
        return b"note " + inner

    def set_pv_T_note(self, msg: Any, inner: bytes, value: Any) -> None:
        msg.retcode = (inner, value)

    def pv_T_last(self, msg: Any) -> Any:
        return msg.retcode

    def set_pv_T_last(self, msg: Any, value: Any) -> None:
        msg.retcode = value

    def pv_T_bad(self, msg: Any) -> Any:
        raise SipError("cannot read that")


def test_a_module_adds_variables() -> None:
    env = environment(Tm())
    msg = message()
    assert compile_variable("$T_code", env).get(msg) == 404
    assert not compile_variable("$T_code", env).writable
    assert compile_variable("$T_note(x)", env).get(msg) == b"note x"
    assert compile_variable("$(T_note(x){s.len})", env).get(msg) == 6
    compile_variable("$T_note(x)", env).set(msg, 5)
    assert msg.retcode == (b"x", 5)
    compile_variable("$T_last", env).set(msg, 9)
    assert compile_variable("$T_last", env).get(msg) == 9


def test_a_module_that_cannot_read_the_message_leaves_its_variable_absent() -> None:
    msg = message()
    assert compile_variable("$T.bad", environment(Tm())).get(msg) is None
    assert msg.error is not None and msg.error.reason == "cannot read that"


@pytest.mark.parametrize("text", ["$(T_code(x))", "$T_note", "$T_note()", "$(T_code[1])"])
def test_variables_of_modules_are_written_as_declared(text: str) -> None:
    with pytest.raises(ConfigError):
        compile_variable(text, environment(Tm()))


def test_modules_may_be_given_as_a_list() -> None:
    env = environment()
    env.modules = [Tm()]
    assert compile_variable("$T_code", env).get(message()) == 404


# -- mistakes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("$RU", "$rU"),
        ("$rUU", "$rU"),
        ("$from.usr", "$from.user"),
        ("$err.clas", "$err.class"),
        ("$tls_peer_subject", "tlsops"),
        ("$T_reply_code", "module tm"),
        ("$DLG_count", "dialog"),
        ("$T_cod", "module tm"),
        ("$(rux)", "$ru"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="unknown pseudo-variable") as caught:
        compile_variable(text, ENV)
    assert hint in caught.value.hint


def test_a_misspelled_variable_of_a_loaded_module_gets_its_nearest_name() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_variable("$T_cod", environment(Tm()))
    assert "$T_code" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "ru",
        "$",
        "$1",
        "$(ru",
        "$(ru{s.len)",
        "$()",
        "$ru[1]",
        "$(ru[1])",
        "$(ru(x))",
        "$ru x",
        "$hdr(a b)",
        "$hdr",
        "$(ru{s.len}x)",
        "",
    ],
)
def test_what_is_no_variable_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        compile_variable(text, ENV)
