"""auth: challenges, credentials of a request, Remote-Party-ID, and what it publishes for others."""

import hashlib
import logging

import pytest

from openserd.errors import ConfigError
from openserd.mods.auth import Auth
from openserd.mods.auth.digest import MD5, calc_ha1
from openserd.mods.auth.service import ANSWERED, AUTHORIZED, CHECK, NOT_AUTHORIZED
from openserd.mods.uri import UriModule
from openserd.parser import names
from openserd.script.problems import ConfigErrors
from openserd.testing import Script
from tests.support.recording import forwarded, lines_of
from tests.unit.mods.auth_kit import NOW, REALM, SOURCE, Phone, Site

ALICE = Phone()


def site(**params: int | str) -> Site:
    """A server with a secret that is known."""
    return Site(**({"secret": "secret"} | params))


# -- challenges -------------------------------------------------------------------------------------------------


@pytest.mark.conformance("REG-11")
def test_www_challenge_answers_401_as_openser_writes_it() -> None:
    with site() as server:
        assert server.call("www_challenge", server.request(), REALM, "0") == 0
        nonce = server.auth.nonces.make(NOW).decode()
        assert (server.reply.status, server.reply.reason) == (401, b"Unauthorized")
        sent = server.listener.sent[-1][0]
        assert lines_of(sent, "WWW-Authenticate") == [f'Digest realm="example.com", nonce="{nonce}"']


@pytest.mark.conformance("PRX-08")
def test_proxy_challenge_answers_407() -> None:
    with site() as server:
        msg = server.request(method="INVITE")
        assert server.call("proxy_challenge", msg, REALM, "1") == 0
        nonce = server.auth.nonces.make(NOW).decode()
        assert (server.reply.status, server.reply.reason) == (407, b"Proxy Authentication Required")
        sent = server.listener.sent[-1][0]
        expected = f'Digest realm="example.com", nonce="{nonce}", qop="auth"'
        assert lines_of(sent, "Proxy-Authenticate") == [expected]
        assert not lines_of(sent, "WWW-Authenticate")


def test_a_challenge_without_realm_takes_the_host_of_to_for_a_register() -> None:
    with site() as server:
        msg = server.request(to="sip:alice@to.example", from_="sip:bob@from.example")
        assert server.challenge(msg, realm="").realm == b"to.example"


def test_a_challenge_without_realm_takes_the_host_of_from_otherwise() -> None:
    with site() as server:
        msg = server.request(method="INVITE", to="sip:alice@to.example", from_="sip:bob@from.example")
        assert server.challenge(msg, realm="").realm == b"from.example"
        register = server.request(to="sip:alice@to.example", from_="sip:bob@from.example")
        assert server.call("proxy_challenge", register, "", "0") == 0
        assert b'realm="from.example"' in server.listener.sent[-1][0]


def test_realm_prefix_is_taken_off_a_realm_of_to_or_from_only() -> None:
    with site(realm_prefix="sip.") as server:
        assert server.challenge(server.request(to="sip:alice@sip.example.com"), realm="").realm == b"example.com"
        assert server.challenge(server.request(to="sip:alice@sip."), realm="").realm == b"sip."
        assert server.challenge(server.request(), realm="sip.example.com").realm == b"sip.example.com"


def test_a_realm_may_hold_variables() -> None:
    with site() as server:
        assert server.challenge(server.request(from_="sip:a@from.example"), realm="$fd").realm == b"from.example"


def test_a_realm_cannot_break_out_of_its_quotes_or_its_line() -> None:
    with site() as server:
        msg = server.request()
        msg.avps.add(b"realm", b'a"b\\c\r\nX-Evil: 1')
        challenge = server.challenge(msg, realm="$avp(s:realm)")
        assert challenge.realm == b'a"b\\c X-Evil: 1'
        assert not server.reply.indexes_named(b"X-Evil")


def test_a_challenge_without_realm_to_a_malformed_address_is_answered_400() -> None:
    with site() as server:
        msg = server.request(to="what")
        assert server.call("www_challenge", msg, "", "0") == 0
        assert (server.reply.status, server.reply.reason) == (400, b"Bad Request")


def test_a_challenge_that_cannot_be_sent_is_false() -> None:
    with site() as server:
        assert server.call("www_challenge", server.request(method="ACK"), REALM, "1") == -1
        server.sl.works = False
        assert server.call("www_challenge", server.request(), REALM, "1") == -1


def test_any_number_but_0_asks_for_qop() -> None:
    with site() as server:
        assert server.challenge(qop="2").qop == b"auth"
        assert server.challenge(qop="0").qop is None


def test_qop_says_what_is_offered() -> None:
    with site(qop="auth,auth-int") as server:
        assert server.challenge().qop == b"auth,auth-int"


def test_each_algorithm_has_a_challenge_of_its_own_in_the_order_given() -> None:
    with site(algorithms="SHA-512-256, sha-256, MD5") as server:
        challenges = server.challenges()
        assert [one.algorithm for one in challenges] == [b"SHA-512-256", b"SHA-256", b"MD5"]
        assert len({one.nonce for one in challenges}) == 1


@pytest.mark.parametrize("wrong", ["MD4", "", "MD5,,SHA-256", "MD5 SHA-256"])
def test_an_unknown_algorithm_is_refused_when_the_script_is_read(wrong: str) -> None:
    with pytest.raises(ConfigError, match="algorithms"):
        Auth(algorithms=wrong)


@pytest.mark.parametrize("wrong", ["", "auth-conf", "auth auth-int"])
def test_an_unknown_qop_is_refused_when_the_script_is_read(wrong: str) -> None:
    with pytest.raises(ConfigError, match="qop"):
        Auth(qop=wrong)


def test_nonce_expire_is_how_long_a_nonce_is_good_for() -> None:
    with site(nonce_expire=60) as server:
        assert server.auth.nonces.expires(server.challenge().nonce or b"") == NOW + 60


def test_the_same_secret_gives_the_same_nonce_and_without_one_each_start_has_its_own() -> None:
    with site() as one, site() as other:
        assert one.challenge().nonce == other.challenge().nonce
    with Site() as one, Site() as other:
        assert one.challenge().nonce != other.challenge().nonce


# -- credentials ------------------------------------------------------------------------------------------------


@pytest.mark.conformance("REG-27")
@pytest.mark.parametrize("qop", ["0", "1"])
def test_the_right_answer_to_a_challenge_is_accepted(qop: str) -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge(qop=qop))
        assert server.check(server.request(answer)) == AUTHORIZED


def test_a_wrong_password_is_refused_and_no_stale_nonce_is_claimed() -> None:
    with site() as server:
        msg = server.request(Phone(password="guess").answer(server.challenge()))
        assert server.check(msg) == NOT_AUTHORIZED
        assert server.auth.authorized_user(msg) is None
        assert not server.challenge(msg).stale


@pytest.mark.conformance("REG-27")
def test_one_byte_changed_in_the_response_is_refused() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        at = answer.index('response="') + len('response="')
        for place in (at, at + 31):
            other = "0" if answer[place] != "0" else "1"
            assert server.check(server.request(answer[:place] + other + answer[place + 1 :])) == NOT_AUTHORIZED


def test_a_request_without_credentials_is_not_authorized() -> None:
    with site() as server:
        assert server.check(server.request()) == NOT_AUTHORIZED
        assert not server.listener.sent


def test_credentials_of_the_other_header_field_do_not_count() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        msg = server.request(answer, name="Proxy-Authorization")
        assert server.check(msg) == NOT_AUTHORIZED
        assert server.check(msg, header=names.PROXY_AUTHORIZATION) == AUTHORIZED


def test_credentials_are_found_by_their_realm_among_others() -> None:
    with site() as server:
        other = "Digest " + 'username="x", realm="other", nonce="1", uri="sip:x", response="2"'
        answer = ALICE.answer(server.challenge())
        headers = (f"Authorization: {other}", "Authorization: Basic abc", f"Authorization: {answer}")
        assert server.check(server.request(headers=headers)) == AUTHORIZED
        assert server.check(server.request(headers=headers[:2])) == NOT_AUTHORIZED


def test_the_case_of_the_realm_does_not_count_for_finding_credentials() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge(realm="Example.COM"))
        _, presented = server.auth.pre_auth(server.request(answer), REALM.encode(), names.AUTHORIZATION)
        assert presented is not None and presented.realm == REALM.encode()


def test_without_a_realm_the_request_tells_it() -> None:
    with site(realm_prefix="sip.") as server:
        answer = ALICE.answer(server.challenge())
        msg = server.request(answer, to="sip:alice@sip.example.com", from_="sip:bob@other.example")
        assert server.check(msg, realm="") == AUTHORIZED


@pytest.mark.conformance("TRN-27")
@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_ack_and_cancel_are_always_accepted(method: str) -> None:
    with site() as server:
        assert server.check(server.request(method=method)) == AUTHORIZED
        assert server.check(server.request("Digest broken", method=method)) == AUTHORIZED


@pytest.mark.parametrize("field", ["username", "realm", "nonce", "uri", "response", "cnonce", "nc"])
def test_incomplete_credentials_are_answered_400(field: str) -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge(), changed={field: None})
        result = server.check(server.request(answer))
        if field == "realm":
            assert result == NOT_AUTHORIZED
        else:
            assert result == ANSWERED
            assert (server.reply.status, server.reply.reason) == (400, b"Bad Request")


def test_credentials_without_qop_need_neither_nc_nor_cnonce() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge(), qop="")
        assert "nc=" not in answer and server.check(server.request(answer)) == AUTHORIZED


def test_malformed_credentials_are_answered_400() -> None:
    with site() as server:
        assert server.check(server.request('Digest username="alice')) == ANSWERED
        assert server.reply.status == 400


def test_a_request_whose_realm_cannot_be_told_is_answered_400() -> None:
    with site() as server:
        assert server.check(server.request(to="what"), realm="") == ANSWERED
        assert server.reply.status == 400


def test_a_user_name_with_the_domain_of_another_realm_is_answered_400() -> None:
    with site() as server:
        assert server.check(server.request(Phone("alice@other.example").answer(server.challenge()))) == ANSWERED


def test_a_user_name_with_an_empty_domain_has_none() -> None:
    with site() as server:
        assert server.check(server.request(Phone("alice@").answer(server.challenge()))) == AUTHORIZED


def test_a_user_name_with_the_domain_of_the_realm_is_taken_apart() -> None:
    with site() as server:
        msg = server.request(Phone("alice@example.com").answer(server.challenge()))
        assert server.check(msg) == AUTHORIZED
        presented = server.auth.authorized(msg)
        assert presented is not None
        assert (presented.username, presented.user, presented.user_domain) == (
            b"alice@example.com",
            b"alice",
            b"example.com",
        )


def test_a_forged_nonce_is_refused_before_anybody_is_asked_for_the_password() -> None:
    with site() as server, Site(secret="guess") as attacker:
        msg = server.request(ALICE.answer(attacker.challenge()))
        assert server.auth.pre_auth(msg, REALM.encode(), names.AUTHORIZATION) == (NOT_AUTHORIZED, None)
        assert server.check(msg) == NOT_AUTHORIZED
        assert not server.challenge(msg).stale


@pytest.mark.parametrize(
    ("function", "header"),
    [("pv_www_authenticate", "Authorization"), ("pv_proxy_authenticate", "Proxy-Authorization")],
)
def test_a_password_of_the_script_authenticates(function: str, header: str) -> None:
    ha1 = hashlib.md5(b"alice:example.com:secret").hexdigest()
    with site() as server:
        answer = ALICE.answer(server.challenge())
        for password, flags, result in [
            ("secret", "0", AUTHORIZED), (ha1, "1", AUTHORIZED), ("wrong", "0", NOT_AUTHORIZED),
            (ha1, "0", NOT_AUTHORIZED), ("secret", "1", NOT_AUTHORIZED), ("$avp(s:none)", "0", NOT_AUTHORIZED),
        ]:  # fmt: skip
            msg = server.request(answer, name=header)
            assert server.call(function, msg, "example.com", password, flags) == result, (password, flags)
            assert server.auth.authorized_user(msg) == (b"alice" if result == AUTHORIZED else None)
        assert server.call(function, server.request(), "example.com", "secret", "0") == NOT_AUTHORIZED
        assert server.call(function, server.request(method="ACK"), "example.com", "secret", "0") == AUTHORIZED
        assert server.call(function, server.request("Digest x", name=header), "example.com", "secret", "0") == 0


def test_responses_and_nonces_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return one == other

    with site() as server:
        answer = ALICE.answer(server.challenge())
        for file in ("service", "nonce"):
            monkeypatch.setattr(f"openserd.mods.auth.{file}.is_equal", compare)
        assert server.check(server.request(answer)) == AUTHORIZED
        assert compared == [32, 32]


@pytest.mark.conformance("REG-26")
def test_an_expired_nonce_is_refused_and_the_next_challenge_says_stale() -> None:
    with site(nonce_expire=300) as server:
        answer = ALICE.answer(server.challenge())
        server.now += 300
        assert server.check(server.request(answer)) == AUTHORIZED
        server.now += 1
        msg = server.request(answer)
        assert server.check(msg) == NOT_AUTHORIZED
        assert server.auth.authorized_user(msg) is None
        challenge = server.challenge(msg)
        assert challenge.stale
        assert server.check(server.request(ALICE.answer(challenge))) == AUTHORIZED


def test_stale_is_said_in_the_challenge_of_the_same_header_field_only() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        server.now += 1000
        msg = server.request(answer, name="Proxy-Authorization")
        assert server.check(msg, header=names.PROXY_AUTHORIZATION) == NOT_AUTHORIZED
        assert not server.challenge(msg).stale
        assert server.call("proxy_challenge", msg, REALM, "0") == 0
        assert b"Proxy-Authenticate: Digest" in server.listener.sent[-1][0]
        assert b"stale=true" in server.listener.sent[-1][0]


def test_an_expired_nonce_with_a_wrong_password_is_not_called_stale() -> None:
    with site() as server:
        answer = Phone(password="guess").answer(server.challenge())
        server.now += 1000
        msg = server.request(answer)
        assert server.check(msg) == NOT_AUTHORIZED
        assert not server.challenge(msg).stale


@pytest.mark.conformance("REG-30")
def test_replays_that_openser_refuses_are_refused() -> None:
    """The response covers method, digest-uri, user and nonce; a nonce may be used again until it expires."""
    with site() as server:
        answer = ALICE.answer(server.challenge())
        assert server.check(server.request(answer)) == AUTHORIZED
        assert server.check(server.request(answer, method="INVITE")) == NOT_AUTHORIZED
        other_uri = answer.replace('uri="sip:example.com"', 'uri="sip:example.org"')
        assert server.check(server.request(other_uri)) == NOT_AUTHORIZED
        other_user = answer.replace('username="alice"', 'username="bob"')
        assert server.check(server.request(other_user)) == NOT_AUTHORIZED
        other_count = answer.replace("nc=00000001", "nc=00000002")
        assert server.check(server.request(other_count)) == NOT_AUTHORIZED


def test_replays_that_openser_accepts_are_accepted_without_one_time_nonce() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge(), nc=7)
        assert server.check(server.request(answer)) == AUTHORIZED
        assert server.check(server.request(answer)) == AUTHORIZED
        assert server.check(server.request(answer, uri="sip:example.org")) == AUTHORIZED


def test_auth_int_is_checked_over_the_body() -> None:
    with site(qop="auth-int") as server:
        answer = ALICE.answer(server.challenge(), "INVITE", body="v=0\r\n")
        assert server.check(server.request(answer, method="INVITE", body="v=0\r\n")) == AUTHORIZED
        assert server.check(server.request(answer, method="INVITE", body="v=1\r\n")) == NOT_AUTHORIZED


def test_less_protection_than_auth_int_is_refused_where_only_that_is_offered() -> None:
    with site(qop="auth-int") as server:
        challenge = server.challenge()
        assert server.check(server.request(ALICE.answer(challenge, qop="auth"))) == NOT_AUTHORIZED
        assert server.check(server.request(ALICE.answer(challenge, qop=""))) == NOT_AUTHORIZED


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"])
def test_every_algorithm_that_is_offered_is_checked(algorithm: str) -> None:
    with site(algorithms=f"{algorithm},MD5") as server:
        challenge = server.challenge()
        assert server.check(server.request(ALICE.answer(challenge))) == AUTHORIZED
        assert server.check(server.request(Phone(password="guess").answer(challenge))) == NOT_AUTHORIZED


def test_an_algorithm_that_is_not_offered_is_refused() -> None:
    with site(algorithms="SHA-256,MD5") as server:
        weak = ALICE.answer(server.challenges()[1])
    with site(algorithms="SHA-256") as server:
        assert server.check(server.request(weak)) == NOT_AUTHORIZED


@pytest.mark.parametrize(
    "written",
    [
        "{user}, {realm}, {nonce}, {uri}, {response}, {algorithm}, {cnonce}, {qop}, {nc}",
        # a Cisco SPA: no space after the commas, algorithm and qop bare
        "{user},{realm},{nonce},{uri},algorithm=MD5,{response},qop=auth,{nc},{cnonce}",
        # an AVM box: everything quoted
        '{user}, {realm}, {nonce}, {uri}, {response}, algorithm="MD5", {cnonce}, qop="auth", nc="00000001"',
        # snom: lower-case algorithm; Grandstream: opaque that is empty
        '{user},{realm},{nonce},{uri},{qop},{nc},{cnonce},{response},algorithm=md5,opaque=""',
        # names in other case, white space round the equals sign, a comma at the end
        "USERNAME =\t{user_value} , Realm= {realm_value},{nonce},{uri},{response},{cnonce},{qop},{nc},",
        # an extension that nobody knows
        '{user},{realm},{nonce},{uri},{response},{cnonce},{qop},{nc},stale=false,auth-param="a,b"',
    ],
)
def test_credentials_as_real_phones_write_them_are_accepted(written: str) -> None:
    with site() as server:
        plain = ALICE.answer(server.challenge()).removeprefix("Digest ")
        fields = dict(part.split("=", 1) for part in plain.split(", "))
        filled = written.format(
            user=f"username={fields['username']}",
            user_value=fields["username"],
            realm_value=fields["realm"],
            algorithm="algorithm=MD5",
            **{name: f"{name}={fields[name]}" for name in ("realm", "nonce", "uri", "response", "cnonce", "qop", "nc")},
        )
        assert server.check(server.request(f"Digest {filled}")) == AUTHORIZED
        assert server.check(server.request(f"digest  {filled}")) == AUTHORIZED
        assert server.check(server.request(f"Digest\r\n  {filled}")) == AUTHORIZED


def test_a_response_in_upper_case_is_accepted() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        head, _, rest = answer.partition('response="')
        assert server.check(server.request(f'{head}response="{rest[:32].upper()}{rest[32:]}')) == AUTHORIZED


def test_a_response_of_another_length_is_refused() -> None:
    with site() as server:
        challenge = server.challenge()
        for response in ("", "0" * 31, "0" * 33, "0" * 64):
            assert (
                server.check(server.request(ALICE.answer(challenge, changed={"response": response}))) == NOT_AUTHORIZED
            )


# -- what follows from them -------------------------------------------------------------------------------------


@pytest.mark.conformance("REG-29")
def test_consume_credentials_takes_out_the_line_that_was_found_right() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        msg = server.request(answer, headers=('Authorization: Digest realm="other"',))
        assert server.check(msg) == AUTHORIZED
        assert server.call("consume_credentials", msg) == 1
        assert lines_of(forwarded(msg), "Authorization") == ['Digest realm="other"']


def test_consume_credentials_takes_those_for_this_server_before_those_for_a_proxy() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        msg = server.request(answer, headers=(f"Proxy-Authorization: {answer}",))
        assert server.check(msg, header=names.PROXY_AUTHORIZATION) == AUTHORIZED
        assert server.check(msg) == AUTHORIZED
        assert server.call("consume_credentials", msg) == 1
        assert not lines_of(forwarded(msg), "Authorization")
        assert lines_of(forwarded(msg), "Proxy-Authorization")


def test_consume_credentials_without_any_found_right_is_false_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with site() as server, caplog.at_level(logging.ERROR):
        assert server.call("consume_credentials", server.request(method="ACK")) == -1
        assert not caplog.messages
        msg = server.request(Phone(password="guess").answer(server.challenge()))
        assert server.check(msg) == NOT_AUTHORIZED
        assert server.call("consume_credentials", msg) == -1
        assert "consume_credentials" in caplog.messages[0]


def test_others_learn_the_user_that_was_found_right() -> None:
    with site() as server:
        uri = UriModule()
        uri.core = server.core
        msg = server.request(Phone("alice@example.com").answer(server.challenge()))
        assert uri.is_user(msg, b"alice") == -1
        assert server.check(msg) == AUTHORIZED
        assert server.auth.authorized_user(msg) == b"alice"
        assert (uri.is_user(msg, b"alice"), uri.is_user(msg, b"bob")) == (1, -1)


def test_what_was_found_right_can_travel_to_another_process() -> None:
    with site() as server:
        msg = server.request(ALICE.answer(server.challenge()), name="Proxy-Authorization")
        assert server.check(msg, header=names.PROXY_AUTHORIZATION) == AUTHORIZED
        again = type(msg)(msg.buf, SOURCE, server.listener)
        assert server.auth.authorized(again) is None
        again.attach("auth", msg.attached("auth"))
        found = server.auth.authorized(again)
        assert found is not None and (found.user, found.realm) == (b"alice", b"example.com")


def test_ha1_is_computed_for_others() -> None:
    with site() as server:
        assert server.auth.calc_ha1(b"a", b"b", b"c") == calc_ha1(b"a", b"b", b"c", MD5) == MD5.hash(b"a:b:c")
        assert server.core.require("auth") is server.auth


def test_a_refusal_that_cannot_be_sent_still_ends_the_script() -> None:
    with site() as server:
        server.sl.works = False
        result, presented = server.auth.pre_auth(server.request("Digest x"), b"r", names.AUTHORIZATION)
        assert (result, presented) == (ANSWERED, None)
        assert CHECK not in (ANSWERED, AUTHORIZED, NOT_AUTHORIZED)


# -- Remote-Party-ID --------------------------------------------------------------------------------------------


def rpid(server: Site, name: str, value: bytes | int | None, *texts: str, avp: bytes | int = b"rpid") -> list[str]:
    """The Remote-Party-ID that a request goes on with; the result of the function first."""
    msg = server.request(method="INVITE")
    if value is not None:
        msg.avps.add(avp, value)
    result = server.call(name, msg, *texts)
    return [str(result), *lines_of(forwarded(msg), "Remote-Party-ID")]


def test_append_rpid_hf_adds_the_avp_between_the_parameters() -> None:
    with site() as server:
        assert rpid(server, "append_rpid_hf", b"<sip:+1234@x>") == [
            "1",
            "<sip:+1234@x>;party=calling;id-type=subscriber;screen=yes",
        ]
    with site(rpid_prefix="<sip:", rpid_suffix="@x>", rpid_avp="$avp(i:7)") as server:
        assert rpid(server, "append_rpid_hf", b"+1234", avp=7) == ["1", "<sip:+1234@x>"]


def test_append_rpid_hf_with_arguments_uses_these() -> None:
    with site(rpid_prefix="no", rpid_suffix="no") as server:
        assert rpid(server, "append_rpid_hf", b"+1", "<sip:", "@y>;screen=no") == ["1", "<sip:+1@y>;screen=no"]


@pytest.mark.parametrize("value", [None, 7, b"", b"<sip:a@x>\r\nX-Evil: 1"])
def test_append_rpid_hf_without_text_in_the_avp_is_false(value: bytes | int | None) -> None:
    with site() as server:
        assert rpid(server, "append_rpid_hf", value) == ["-1"]


def test_append_rpid_hf_takes_no_argument_or_two() -> None:
    assert list(Auth.functions["append_rpid_hf"].arities) == [0, 2]
    for call in ("append_rpid_hf()", 'append_rpid_hf("<sip:", ">")'):
        Script.text(f"route {{ {call}; }}", ["sl", "auth"]).close()
    with pytest.raises(ConfigErrors, match="takes 0 or 2 arguments, not 1"):
        Script.text('route { append_rpid_hf("<sip:"); }', ["sl", "auth"])


def test_rpid_functions_without_an_avp_are_false() -> None:
    with site(rpid_avp="") as server:
        assert rpid(server, "append_rpid_hf", b"x") == ["-1"]
        assert rpid(server, "is_rpid_user_e164", b"+1234") == ["-1"]


def test_rpid_avp_has_to_be_an_avp() -> None:
    with pytest.raises(ConfigError, match="is no AVP"):
        Site(rpid_avp="rpid")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"+12345", 1),
        (b"sip:+12345@x", 1),
        (b'"A < B" <sip:+12345@x;user=phone>;party=calling', 1),
        (b'"+123 <" <sip:alice@x>', -1),
        (b"sip:+12345678901234567@x", -1),
        (b"+1", -1),
        (b"12345", -1),
        (b"+12a45", -1),
        (b"<sip:", -1),
        (b"sip:@@", -1),
        (b"", -1),
        (7, -1),
    ],
)
def test_is_rpid_user_e164_asks_for_a_number_with_a_plus(value: bytes | int, expected: int) -> None:
    with site() as server:
        assert rpid(server, "is_rpid_user_e164", value) == [str(expected)]


def test_the_avp_of_the_rpid_is_told_to_others() -> None:
    with site(rpid_avp="$avp(i:42)") as server:
        assert server.auth.rpid_avp == (42, 0)
