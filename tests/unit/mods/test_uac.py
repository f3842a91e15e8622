"""uac over real transactions: another From for a call, and answers to challenges."""

import pytest

from openserd.errors import ConfigError
from openserd.mods.uac.scramble import scramble, unscramble
from openserd.parser.digest import parse_credentials
from openserd.script.problems import ConfigErrors
from openserd.testing import Result, Script
from openserd.testing.sent import Sent

ALICE = "sip:alice@atlanta.example"
BATMAN = "sip:batman@gotham.example"


def load(route: str, params: str = "", more: str = "") -> Script:
    """A script that relays after `route`, and routes what belongs to a dialog loosely."""
    text = f"{params} route {{ if (loose_route()) {{ t_relay(); exit; }} {route} record_route(); t_relay(); }} {more}"
    return Script.text(text, ["sl", "tm", "rr", "uac"])


def call(script: Script, from_: str = f'"Alice" <{ALICE}>', **options: str) -> Result:
    """An INVITE of alice's."""
    return script.request("INVITE sip:bob@192.0.2.20", from_=from_, **options)  # type: ignore[arg-type]


def sent_from(result: Result) -> str:
    """From of the request that was sent, without its tag."""
    return str(result.request.header("From")).partition(";tag=")[0]


def remembered(sent: Sent, param: str = "vsf") -> str | None:
    """The value of the Record-Route parameter."""
    route = sent.header("Record-Route") or ""
    found = route.partition(f";{param}=")[2]
    return found.partition(";")[0].rstrip(">") or None


# -- uac_replace_from -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "arguments", "after"),
    [
        (f'"Alice" <{ALICE}>', f'"{BATMAN}"', f'"Alice" <{BATMAN}>'),
        (f"<{ALICE}>", f'"{BATMAN}"', f"<{BATMAN}>"),
        (f'"Alice" <{ALICE}>', f'"batman", "{BATMAN}"', f'"batman" <{BATMAN}>'),
        (f"<{ALICE}>", f'"batman", "{BATMAN}"', f'"batman" <{BATMAN}>'),
        (f'"Alice" <{ALICE}>', '"batman", ""', f'"batman" <{ALICE}>'),
        (f'"Alice" <{ALICE}>', f'"", "{BATMAN}"', f"<{BATMAN}>"),
        (f'"Alice" <{ALICE}>', '"", ""', f"<{ALICE}>"),
        (f'"Alice" <{ALICE}>', '"$rU $fn", "sip:$rU@$fd"', '"bob \\"Alice\\"" <sip:bob@atlanta.example>'),
        (f'"Alice" <{ALICE}>', '""', f'"Alice" <{ALICE}>'),
    ],
)
def test_uac_replace_from_changes_display_name_and_uri(before: str, arguments: str, after: str) -> None:
    with load(f"uac_replace_from({arguments});") as script:
        assert sent_from(call(script, before)) == after


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        (f'"{BATMAN};x=1"', f"From: <{BATMAN};x=1>;tag=t"),
        (f'"Bat", "{BATMAN}"', f'From: "Bat" <{BATMAN}>;tag=t'),
        ('"Bat", ""', f'From: "Bat" <{ALICE}>;tag=t'),
    ],
)
def test_a_from_without_brackets_gets_them(arguments: str, after: str) -> None:
    with load(f"uac_replace_from({arguments});") as script:
        result = script.request("INVITE sip:bob@192.0.2.20", headers={"From": f"{ALICE};tag=t"})
        assert after in result.request.text.splitlines()


@pytest.mark.parametrize("mode", ["none", "manual", "auto"])
def test_a_second_replacement_is_refused(mode: str) -> None:
    route = f'uac_replace_from("{BATMAN}"); if (!uac_replace_from("sip:x@y")) {{ append_hf("X-Refused: 1\\r\\n"); }}'
    params = f'loadmodule "textops.so" modparam("uac", "from_restore_mode", "{mode}")'
    with load(route, params) as script:
        result = call(script)
        assert result.request.header("X-Refused") == "1"
        assert sent_from(result) == f'"Alice" <{BATMAN}>'


@pytest.mark.parametrize(
    ("argument", "headers"), [("no uri", {}), (BATMAN, {"From": f"<{ALICE}>"}), ("<sip:x@y>;evil", {})]
)
def test_what_would_make_no_from_is_refused(argument: str, headers: dict[str, str]) -> None:
    with load(f'if (!uac_replace_from("{argument}")) {{ sl_send_reply("499", "no"); exit; }}') as script:
        result = script.request("INVITE sip:bob@192.0.2.20", headers=headers)
        assert result.reply.status == 499


def test_no_replacement_within_a_dialog_when_it_is_restored_automatically() -> None:
    route = f'if (!uac_replace_from("{BATMAN}")) {{ sl_send_reply("499", "no"); exit; }}'
    with load(route) as script:
        assert call(script, to_tag="x").reply.status == 499
    with load(route, 'modparam("uac", "from_restore_mode", "manual")') as script:
        assert sent_from(call(script, to_tag="x")) == f'"Alice" <{BATMAN}>'


def test_a_uri_that_record_route_has_no_room_for_is_refused() -> None:
    long = "sip:" + "x" * 500 + "@y"
    with load(f'if (!uac_replace_from("{long}")) {{ sl_send_reply("499", "no"); exit; }}') as script:
        result = call(script)
        assert result.reply.status == 499
        assert "no room" in result.log[0]


# -- restoring --------------------------------------------------------------------------------------------------


def test_record_route_remembers_the_old_from() -> None:
    with load(f'uac_replace_from("{BATMAN}");') as script:
        assert remembered(call(script).request) == scramble(ALICE.encode(), BATMAN.encode(), b"").decode()
    params = 'modparam("uac", "rr_store_param", "mine") modparam("uac", "from_passwd", "secret")'
    with load(f'uac_replace_from("{BATMAN}");', params) as script:
        value = remembered(call(script).request, "mine")
        assert value is not None
        assert unscramble(value.encode(), BATMAN.encode(), b"secret").decode() == ALICE


def test_nothing_is_remembered_in_mode_none_or_without_another_uri() -> None:
    with load(f'uac_replace_from("{BATMAN}");', 'modparam("uac", "from_restore_mode", "NONE")') as script:
        result = call(script)
        assert sent_from(result) == f'"Alice" <{BATMAN}>'
        assert remembered(result.request) is None
        assert BATMAN in str(script.reply(result.request, 200).reply.header("From"))
    with load('uac_replace_from("batman", "");') as script:
        assert remembered(call(script).request) is None


@pytest.mark.parametrize("mode", ["manual", "auto"])
@pytest.mark.parametrize("status", [180, 200, 486])
def test_replies_have_the_old_from(mode: str, status: int) -> None:
    params = f'modparam("uac", "from_restore_mode", "{mode}")'
    with load(f'uac_replace_from("Bat", "{BATMAN}");', params) as script:
        first = call(script)
        assert BATMAN in str(first.request.header("From"))
        result = script.reply(first.request, status)
        came = [reply for reply in result.replies if reply.status == status]
        assert str(came[0].header("From")).startswith(f'"Alice" <{ALICE}>;tag=')


def dialog(script: Script) -> tuple[Result, Sent]:
    """An INVITE whose From was replaced, and its answer."""
    first = call(script)
    answer = script.reply(first.request, 200, headers={"Contact": "<sip:bob@192.0.2.20>"})
    return first, answer.reply


def upstream(script: Script, first: Result, method: str = "BYE") -> Result:
    """A request of the callee's."""
    sent = first.request
    tag = str(sent.header("From")).partition(";tag=")[2]
    return script.request(
        f"{method} sip:alice@192.0.2.10:5060",
        source="192.0.2.20:5060",
        from_="sip:bob@192.0.2.20",
        to=BATMAN,
        to_tag=tag,
        headers={"Route": str(sent.header("Record-Route")), "From": "<sip:bob@192.0.2.20>;tag=callee"},
    )


def test_later_requests_of_both_sides_are_restored_automatically() -> None:
    with load(f'uac_replace_from("{BATMAN}");') as script:
        first, answer = dialog(script)
        down = script.within(first, answer, "INFO")
        assert sent_from(down) == f'"Alice" <{BATMAN}>'
        back = script.reply(down.request, 200)
        assert str(back.reply.header("From")).startswith(f'"Alice" <{ALICE}>;tag=')
        up = upstream(script, first)
        assert str(up.request.header("To")).startswith(f"<{ALICE}>;tag=")
        assert str(up.request.header("From")).startswith("<sip:bob@192.0.2.20>")
        done = script.reply(up.request, 200)
        assert str(done.reply.header("To")).startswith(f"<{BATMAN}>;tag=")


def test_an_ack_is_restored_too() -> None:
    with load(f'uac_replace_from("{BATMAN}");') as script:
        first, answer = dialog(script)
        assert sent_from(script.ack(first, answer)) == f'"Alice" <{BATMAN}>'


def test_in_mode_manual_the_script_restores() -> None:
    params = 'modparam("uac", "from_restore_mode", "manual")'
    text = f"""{params} route {{
        if (loose_route()) {{
            if (method=="INFO") {{ uac_restore_from(); if (uac_restore_from()) {{ drop(); exit; }} }}
            t_relay(); exit;
        }}
        if (uac_restore_from()) {{ drop(); exit; }}
        uac_replace_from("{BATMAN}"); record_route(); t_relay(); }}"""
    with Script.text(text, ["sl", "tm", "rr", "uac"]) as script:
        first, answer = dialog(script)
        assert sent_from(script.within(first, answer, "BYE")) == f'"Alice" <{ALICE}>'
        restored = script.within(first, answer, "INFO", cseq=2)
        assert sent_from(restored) == f'"Alice" <{BATMAN}>'
        assert ALICE in str(script.reply(restored.request, 200).reply.header("From"))


def test_a_parameter_that_was_tampered_with_changes_nothing() -> None:
    with load(f'uac_replace_from("{BATMAN}");') as script:
        first, answer = dialog(script)
        route = str(first.request.header("Record-Route")).replace(";vsf=", ";vsf=zz")
        down = script.within(first, answer, "INFO", headers={"Route": route})
        assert sent_from(down) == f'"Alice" <{ALICE}>'
        assert "not restored" in down.log[0]


# -- uac_auth ---------------------------------------------------------------------------------------------------

AUTH = 'failure_route[1] { if (uac_auth()) { t_on_failure("1"); append_branch(); t_relay(); } }'
CREDENTIAL = 'modparam("uac", "credential", "alice:biloxi:secret")'


def challenged(script: Script, code: int = 401, realm: str = "biloxi", method: str = "INVITE") -> Result:
    """What becomes of a challenge."""
    first = script.request(f"{method} sip:bob@192.0.2.20")
    name = "WWW-Authenticate" if code == 401 else "Proxy-Authenticate"
    return script.reply(first.request, code, headers={name: f'Digest realm="{realm}", nonce="n"'})


def again(result: Result) -> Sent:
    """The request that was sent once more."""
    return next(one for one in result.forwarded if one.method != "ACK")


@pytest.mark.parametrize(("code", "name"), [(401, "Authorization"), (407, "Proxy-Authorization")])
def test_uac_auth_answers_a_challenge(code: int, name: str) -> None:
    with load('t_on_failure("1");', CREDENTIAL, AUTH) as script:
        result = challenged(script, code)
        value = again(result).header(name)
        assert value is not None
        found = parse_credentials(value.encode())
        assert (found.username, found.realm, found.uri) == (b"alice", b"biloxi", b"sip:bob@192.0.2.20")
        assert found.response is not None and len(found.response) == 32
        assert not result.replies
        assert script.reply(again(result), 200).reply.status == 200


def test_uac_auth_signs_the_uri_of_the_branch() -> None:
    with load('t_on_failure("1"); $ru = "sip:carol@192.0.2.21";', CREDENTIAL, AUTH) as script:
        sent = again(challenged(script))
        assert sent.uri == "sip:carol@192.0.2.21"
        assert parse_credentials(str(sent.header("Authorization")).encode()).uri == b"sip:carol@192.0.2.21"


def test_uac_auth_without_a_credential_passes_the_challenge_on() -> None:
    with load('t_on_failure("1");', CREDENTIAL, AUTH) as script:
        assert challenged(script, realm="elsewhere").reply.status == 401
        other = script.request("INVITE sip:bob@192.0.2.20")
        assert script.reply(other.request, 404).reply.status == 404


def test_uac_auth_after_a_time_out() -> None:
    with load('t_on_failure("1");', CREDENTIAL, AUTH) as script:
        script.request("INVITE sip:bob@192.0.2.20")
        result = script.advance(60)
        assert result.reply.status == 408
        assert any("uac_auth needs" in line for line in result.log)


def test_the_credential_that_was_configured_last_counts() -> None:
    params = CREDENTIAL + 'modparam("uac", "credential", "carol:biloxi:x") modparam("uac", "credential", "d:other:x")'
    with load('t_on_failure("1");', params, AUTH) as script:
        value = str(again(challenged(script)).header("Authorization"))
        assert parse_credentials(value.encode()).username == b"carol"


AVPS = """
modparam("uac", "auth_username_avp", "$avp(s:username)")
modparam("uac", "auth_realm_avp", "$avp(s:realm)")
modparam("uac", "auth_password_avp", "$avp(s:password)")
"""


@pytest.mark.parametrize(
    ("realm", "password", "user"), [("biloxi", "pw", b"dave"), ("x", "pw", b"alice"), ("biloxi", "", b"alice")]
)
def test_avps_may_hold_the_credential(realm: str, password: str, user: bytes) -> None:
    route = f'$avp(s:username) = "dave"; $avp(s:realm) = "{realm}"; $avp(s:password) = "{password}"; t_on_failure("1");'
    with load(route, CREDENTIAL + AVPS, AUTH) as script:
        value = str(again(challenged(script)).header("Authorization"))
        assert parse_credentials(value.encode()).username == user


# -- configuration ----------------------------------------------------------------------------------------------


def test_what_is_wrong_is_said_when_the_script_is_read() -> None:
    with pytest.raises(ConfigErrors, match="credential"):
        load("", 'modparam("uac", "credential", "alice:biloxi")')
    with pytest.raises(ConfigErrors, match="none, manual or auto"):
        load("", 'modparam("uac", "from_restore_mode", "sometimes")')
    with pytest.raises(ConfigError, match="rr_store_param is empty"):
        load("", 'modparam("uac", "rr_store_param", "")')
    with pytest.raises(ConfigError, match="go together"):
        load("", 'modparam("uac", "auth_realm_avp", "$avp(s:x)")')
    with pytest.raises(ConfigError, match="is no AVP"):
        load("", AVPS + 'modparam("uac", "auth_realm_avp", "$ru")')
    with pytest.raises(ConfigErrors, match="cannot be used in route"):
        load("uac_auth();")
    with pytest.raises(ConfigErrors, match="cannot be used in failure_route"):
        load('t_on_failure("1");', more='failure_route[1] { uac_replace_from("sip:x@y"); }')


def test_other_modules_that_are_needed() -> None:
    with pytest.raises(ConfigError, match="tm"):
        Script.text("route { drop(); }", ["rr", "uac"])
    with pytest.raises(ConfigError, match="rr"):
        Script.text("route { drop(); }", ["tm", "uac"])
    Script.text('modparam("uac", "from_restore_mode", "none") route { drop(); }', ["tm", "uac"]).close()
    empty = 'modparam("uac", "from_restore_mode", "none") modparam("uac", "rr_store_param", "") route { drop(); }'
    Script.text(empty, ["tm", "uac"]).close()
