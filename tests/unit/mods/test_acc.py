"""acc: which transactions are recorded, in the log and in a real SQLite file."""

import re
import sqlite3
from pathlib import Path

import pytest

from openserd.errors import ConfigError
from openserd.script.problems import ConfigErrors
from openserd.testing import Result, Script
from tests.unit.mods.tables_kit import run

RECORD = "method VARCHAR(16), from_tag VARCHAR(64), to_tag VARCHAR(64), callid VARCHAR(128), sip_code CHAR(3), "
RECORD += "sip_reason VARCHAR(32), time DATETIME"
FLAGS = 'modparam("acc", "log_flag", 1) modparam("acc", "log_missed_flag", 2)'


def load(route: str = "setflag(1);", params: str = "", more: str = "") -> Script:
    """A script that relays after `route`."""
    text = f"{FLAGS} {params} route {{ {route} t_relay(); }} {more}"
    return Script.text(text, ["sl", "tm", "rr", "sqlite", "acc"])


def lines(*results: Result) -> list[str]:
    """The records in the log."""
    return [str(line) for result in results for line in result.log if line.startswith("ACC: ")]


def kinds(*results: Result) -> list[str]:
    """Of each record what it is, method and code: `transaction answered INVITE 200`."""
    found = []
    for line in lines(*results):
        match = re.fullmatch(r"ACC: ([a-z ]+): timestamp=\d+;method=(\w+);.*;code=(\d*);reason=.*", line)
        assert match is not None, line
        found.append(f"{match[1]} {match[2]} {match[3]}")
    return found


# -- when -------------------------------------------------------------------------------------------------------


def test_the_line_of_an_answered_call() -> None:
    with load() as script:
        call = script.request("INVITE sip:bob@192.0.2.20", call_id="abc@192.0.2.10")
        result = script.reply(call.request, 200, "Fine with me")
    tag = str(call.request.header("From")).partition("tag=")[2]
    assert lines(call, result) == [
        f"ACC: transaction answered: timestamp=1767225600;method=INVITE;from_tag={tag};to_tag=callee"
        ";call_id=abc@192.0.2.10;code=200;reason=Fine with me"
    ]
    assert result.log[-1].level == "NOTICE"


def test_only_requests_with_the_flag_are_recorded() -> None:
    with load('if (method=="BYE") { setflag(1); }') as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        answer = script.reply(call.request, 200)
        bye = script.within(call, answer.reply, "BYE")
        assert lines(call, answer, bye) == []
        assert kinds(script.reply(bye.request, 200)) == ["transaction answered BYE 200"]


def test_provisional_replies_are_recorded_only_with_early_media_and_183() -> None:
    for params, expected in (("", []), ('modparam("acc", "early_media", 1)', ["transaction answered INVITE 183"])):
        with load(params=params) as script:
            call = script.request("INVITE sip:bob@192.0.2.20")
            assert kinds(script.reply(call.request, 180), script.reply(call.request, 183)) == expected


def test_failures_are_recorded_only_with_failed_transaction_flag() -> None:
    params = 'modparam("acc", "failed_transaction_flag", 5)'
    for route, expected in (("setflag(1);", []), ("setflag(1); setflag(5);", ["transaction answered INVITE 486"])):
        with load(route, params) as script:
            call = script.request("INVITE sip:bob@192.0.2.20")
            assert kinds(script.reply(call.request, 486)) == expected


def test_every_2xx_of_a_forked_call_is_recorded() -> None:
    with load('setflag(1); append_branch("sip:carol@192.0.2.21");') as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        answers = [
            script.reply(sent, 200, headers={"To": f"<sip:bob@192.0.2.20>;tag=t{number}"})
            for number, sent in enumerate(call.forwarded)
        ]
        assert [line.partition(";to_tag=")[2][:2] for line in lines(*answers)] == ["t0", "t1"]


def test_a_missed_call_is_recorded_once_though_it_goes_on() -> None:
    more = """failure_route[1] { append_branch("sip:carol@192.0.2.21"); t_relay(); }"""
    with load('setflag(2); t_on_failure("1");', more=more) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        first = script.reply(call.request, 486)
        assert kinds(first) == ["call missed INVITE 486"]
        onwards = next(one for one in first.forwarded if one.method == "INVITE")
        assert kinds(script.reply(onwards, 404)) == []


@pytest.mark.parametrize(("method", "expected"), [("INVITE", ["call missed INVITE 408"]), ("OPTIONS", [])])
def test_missed_are_calls_that_nobody_answers(method: str, expected: list[str]) -> None:
    with load("setflag(2);", 'modparam("tm", "fr_timer", 5)') as script:
        call = script.request(f"{method} sip:bob@192.0.2.20")
        assert kinds(call, script.advance(60)) == expected


def test_a_call_that_is_refused_here_is_missed() -> None:
    with load('setflag(2); t_reply("480", "Gone"); exit;') as script:
        result = script.request("INVITE sip:bob@192.0.2.20")
        assert kinds(result) == ["call missed INVITE 480"]
        assert lines(result)[0].endswith(";code=480;reason=Gone")


def test_a_missed_call_that_nobody_answered_is_recorded_with_the_uri_of_its_branch() -> None:
    params = 'modparam("acc", "log_extra", "uri=$ru") modparam("tm", "fr_timer", 5)'
    with load('setflag(2); $ru = "sip:carol@192.0.2.21";', params) as script:
        script.request("INVITE sip:bob@192.0.2.20")
        line = lines(script.advance(60))[0]
        assert ";to_tag=;" in line and line.endswith(";code=408;reason=Request Timeout;uri=sip:carol@192.0.2.21")


def test_an_answered_call_is_recorded_with_the_uri_of_its_branch() -> None:
    params = 'modparam("acc", "log_extra", "uri=$ru;user=$rU")'
    with load('setflag(1); append_branch("sip:carol@192.0.2.21");', params) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        line = lines(script.reply(call.forwarded[1], 200))[0]
        assert line.endswith(";uri=sip:carol@192.0.2.21;user=carol")


def test_a_failed_call_is_recorded_with_the_uri_of_the_branch_whose_reply_went_on() -> None:
    params = 'modparam("acc", "log_extra", "uri=$ru;was=$ou") modparam("acc", "failed_transaction_flag", 5)'
    with load('setflag(1); setflag(5); append_branch("sip:carol@192.0.2.21");', params) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        line = lines(script.reply(call.forwarded[0], 486), script.reply(call.forwarded[1], 404))[0]
        assert line.endswith(";code=404;reason=Not Found;uri=sip:carol@192.0.2.21;was=sip:bob@192.0.2.20")


@pytest.mark.parametrize("status", [503, 0])
def test_a_call_that_fails_here_is_recorded_with_the_uri_of_its_branch(status: int) -> None:
    params = 'modparam("acc", "log_extra", "uri=$ru") modparam("acc", "failed_transaction_flag", 5)'
    route = 'setflag(1); setflag(5); $ru = "sip:carol@192.0.2.21";'
    with load(route, params + 'modparam("tm", "fr_timer", 5)') as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        line = lines(script.reply(call.request, status) if status else script.advance(60))[0]
        assert line.endswith(";uri=sip:carol@192.0.2.21")


@pytest.mark.parametrize("made_before", ["", "t_newtran();"])
def test_a_call_that_the_script_refuses_is_recorded_with_the_uri_that_it_has_given_it(made_before: str) -> None:
    params = 'modparam("acc", "log_extra", "uri=$ru") modparam("acc", "failed_transaction_flag", 5)'
    route = f'setflag(1); setflag(5); $ru = "sip:carol@192.0.2.21"; {made_before} t_reply("480", "Gone"); exit;'
    with load(route, params) as script:
        assert lines(script.request("INVITE sip:bob@192.0.2.20"))[0].endswith(";uri=sip:carol@192.0.2.21")


def test_a_refusal_after_branches_have_failed_is_recorded_with_the_uri_of_the_request() -> None:
    params = 'modparam("acc", "log_extra", "uri=$ru") modparam("acc", "failed_transaction_flag", 5)'
    more = 'failure_route[1] { t_reply("480", "Gone"); }'
    route = (
        'setflag(1); setflag(5); $ru = "sip:carol@192.0.2.21"; append_branch("sip:dave@192.0.2.22"); t_on_failure("1");'
    )
    with load(route, params, more) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        result = [script.reply(sent, 486 - number) for number, sent in enumerate(call.forwarded)]
        assert lines(*result)[0].endswith(";code=480;reason=Gone;uri=sip:carol@192.0.2.21")


def test_both_flags_record_an_answered_call_once_and_a_failed_one_as_missed() -> None:
    with load("setflag(1); setflag(2);") as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert kinds(script.reply(call.request, 200)) == ["transaction answered INVITE 200"]
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert kinds(script.reply(call.request, 486)) == ["call missed INVITE 486"]


def test_ack_is_recorded_with_report_ack() -> None:
    for params, expected in (("", []), ('modparam("acc", "report_ack", 1)', ["request acknowledged ACK 200"])):
        with load('if (method=="INVITE") { setflag(1); }', params) as script:
            call = script.request("INVITE sip:bob@192.0.2.20")
            answer = script.reply(call.request, 200)
            assert kinds(script.ack(call, answer.reply)) == expected


def test_cancel_is_recorded_with_report_cancels() -> None:
    for params, expected in (("", []), ('modparam("acc", "report_cancels", 1)', ["transaction answered CANCEL 200"])):
        with load('if (method=="CANCEL") { setflag(1); }', params) as script:
            call = script.request("INVITE sip:bob@192.0.2.20")
            script.reply(call.request, 180)
            assert kinds(script.cancel(call)) == expected
            stray = script.request("CANCEL sip:bob@192.0.2.20")
            answer = script.reply(stray.request, 200)
            assert answer.reply.status == 200
            assert kinds(answer) == expected


def test_tags_change_places_with_detect_direction() -> None:
    params = 'modparam("acc", "detect_direction", 1)'
    with load("setflag(1); loose_route(); record_route();", params) as script:
        route = {"Route": "<sip:198.51.100.1;lr;ftag=caller>", "From": "<sip:bob@b>;tag=callee"}
        host, port = script.core.listeners[0].address
        route["Route"] = f"<sip:{host}:{port};lr;ftag=caller>"
        bye = script.request("BYE sip:alice@192.0.2.10", to_tag="caller", headers=route)
        upstream = lines(script.reply(bye.request, 200))[0]
        assert ";from_tag=caller;to_tag=callee;" in upstream
        route["From"] = "<sip:alice@a>;tag=caller"
        bye = script.request("BYE sip:bob@192.0.2.20", to_tag="callee", headers=route)
        assert ";from_tag=caller;to_tag=callee;" in lines(script.reply(bye.request, 200))[0]
    with load("setflag(1); loose_route();") as script:
        route["From"] = "<sip:bob@b>;tag=callee"
        bye = script.request("BYE sip:alice@192.0.2.10", to_tag="caller", headers=route)
        assert ";from_tag=callee;to_tag=caller;" in lines(script.reply(bye.request, 200))[0]


# -- what -------------------------------------------------------------------------------------------------------


def test_extras_are_added_to_the_line() -> None:
    params = 'modparam("acc", "log_extra", "src=$si; user=$avp(s:who);agent=$hdr(User-Agent)")'
    with load('setflag(1); $avp(s:who) = "al;ice";', params) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        line = lines(script.reply(call.request, 200))[0]
        assert line.endswith(";reason=OK;src=192.0.2.10;user=al;ice;agent=")


def test_legs_are_added_one_after_the_other() -> None:
    params = 'modparam("acc", "multi_leg_info", "src=$avp(s:src);dst=$avp(i:5)")'
    route = 'setflag(1); $avp(s:src) = "a"; $avp(s:src) = "b"; $avp(i:5) = 9;'
    with load(route, params) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert lines(script.reply(call.request, 200))[0].endswith(";src=b;dst=9;src=a;dst=")
    with load("setflag(1);", params) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert lines(script.reply(call.request, 200))[0].endswith(";reason=OK;src=;dst=")


def test_log_level() -> None:
    with load(params='debug=1 modparam("acc", "log_level", 1)') as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        answer = script.reply(call.request, 200)
        assert [line.level for line in answer.log if line.startswith("ACC")] == ["WARNING"]
    with load(params="debug=1") as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert lines(script.reply(call.request, 200)) == []


def test_nothing_in_a_message_breaks_a_line_in_two() -> None:
    text = f"""{FLAGS} modparam("acc", "log_extra", "x=$avp(s:x)")
        route {{ setflag(1); $avp(s:x) = "abc"; avp_subst("$avp(s:x)", "/b/\\r\\n/"); t_relay(); }}"""
    with Script.text(text, ["sl", "tm", "avpops", "acc"]) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert lines(script.reply(call.request, 200))[0].endswith(";x=a  c")


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("404 Not found here", ";code=404;reason=Not found here"),
        ("500", ";code=500;reason="),
        ("just text", ";code=;reason=just text"),
        ("12 x", ";code=;reason=12 x"),
    ],
)
def test_acc_log_request_records_at_once(comment: str, expected: str) -> None:
    with load(f'if (acc_log_request("{comment}")) {{ sl_send_reply("299", "yes"); }} exit;') as script:
        result = script.request("INVITE sip:bob@192.0.2.20", to_tag="there")
        assert result.reply.status == 299
        assert lines(result)[0].startswith("ACC: request accounted: timestamp=1767225600;method=INVITE;from_tag=")
        assert lines(result)[0].endswith(expected)
        assert ";to_tag=there;" in lines(result)[0]


def test_acc_log_request_works_in_a_failure_route() -> None:
    more = 'failure_route[1] { acc_log_request("486 busy"); }'
    with load('t_on_failure("1");', more=more) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert kinds(script.reply(call.request, 486)) == ["request accounted INVITE 486"]


# -- database ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A database with empty tables."""
    path = tmp_path / "openser.db"
    for table in ("acc", "missed_calls", "own"):
        run(path, f"CREATE TABLE {table} ({RECORD}, src VARCHAR(64), leg VARCHAR(64), dst VARCHAR(64))")
    return path


def with_database(path: Path, params: str = "") -> str:
    """Parameters of acc."""
    flags = 'modparam("acc", "db_flag", 3) modparam("acc", "db_missed_flag", 4)'
    return f'{flags} modparam("acc", "db_url", "sqlite://{path}") {params}'


def rows(path: Path, table: str = "acc", columns: str = "*") -> list[tuple[object, ...]]:
    """What is in a table."""
    connection = sqlite3.connect(path)
    found = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
    connection.close()
    return found


def test_an_answered_call_is_a_row(tables: Path) -> None:
    with load("setflag(3);", with_database(tables)) as script:
        call = script.request("INVITE sip:bob@192.0.2.20", call_id="x@y")
        answer = script.reply(call.request, 200, "Fine")
        assert lines(answer) == []
    row = rows(tables, columns="method, to_tag, callid, sip_code, sip_reason, src")
    assert row == [("INVITE", "callee", "x@y", "200", "Fine", None)]
    [(tag, at)] = rows(tables, columns="from_tag, time")
    assert str(tag).startswith("caller")
    assert re.fullmatch(r"202[56]-\d\d-\d\d \d\d:\d\d:\d\d", str(at))


def test_a_missed_call_is_a_row_in_a_table_of_its_own(tables: Path) -> None:
    with load("setflag(3); setflag(4);", with_database(tables)) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        script.reply(call.request, 486, "Busy")
    assert rows(tables, "missed_calls", "sip_code, sip_reason") == [("486", "Busy")]
    assert rows(tables) == []


def test_extras_and_legs_are_columns_and_each_leg_a_row(tables: Path) -> None:
    more = 'modparam("acc", "db_extra", "src=$si") modparam("acc", "multi_leg_info", "leg=$avp(s:leg);dst=$avp(s:dst)")'
    route = 'setflag(3); $avp(s:leg) = "1"; $avp(s:leg) = "2"; $avp(s:dst) = "x";'
    with load(route, with_database(tables, more)) as script:
        script.reply(script.request("INVITE sip:bob@192.0.2.20").request, 200)
    assert rows(tables, columns="src, leg, dst") == [("192.0.2.10", "2", "x"), ("192.0.2.10", "1", "")]


def test_tables_and_columns_can_have_other_names(tables: Path) -> None:
    names = {
        "acc_method_column": ("method", "m"), "acc_from_tag_column": ("from_tag", "f"),
        "acc_totag_column": ("to_tag", "t"), "acc_callid_column": ("callid", "c"),
        "acc_sip_code_column": ("sip_code", "s"), "acc_sip_reason_column": ("sip_reason", "r"),
        "acc_time_column": ("time", "z"),
    }  # fmt: skip
    params = 'modparam("acc", "db_table_acc", "own") modparam("acc", "db_table_missed_calls", "own")'
    for param, (old, new) in names.items():
        run(tables, f"ALTER TABLE own RENAME COLUMN {old} TO {new}")
        params += f'modparam("acc", "{param}", "{new}")'
    with load("setflag(3); setflag(4);", with_database(tables, params)) as script:
        script.reply(script.request("INVITE sip:bob@192.0.2.20", call_id="1@x").request, 200)
        script.reply(script.request("INVITE sip:bob@192.0.2.20", call_id="2@x").request, 486)
    assert rows(tables, "own", "m, t, c, s, r") == [
        ("INVITE", "callee", "1@x", "200", "OK"),
        ("INVITE", "callee", "2@x", "486", "Busy Here"),
    ]
    assert all(f and z for f, z in rows(tables, "own", "f, z"))


def test_acc_db_request_writes_into_any_table(tables: Path) -> None:
    route = 'if (acc_db_request("404 Not here", "own")) { sl_send_reply("299", "yes"); } exit;'
    with load(route, with_database(tables)) as script:
        assert script.request("INVITE sip:bob@192.0.2.20").reply.status == 299
    assert rows(tables, "own", "sip_code, sip_reason") == [("404", "Not here")]


def test_without_a_database_acc_db_request_fails() -> None:
    route = 'if (!acc_db_request("x", "own")) { sl_send_reply("499", "no"); } exit;'
    with load(route, 'modparam("acc", "db_flag", 1)') as script:
        result = script.request("INVITE sip:bob@192.0.2.20")
        assert result.reply.status == 499
        assert "db_url" in result.log[0]


def test_what_the_database_does_not_take_is_in_the_log(tables: Path) -> None:
    run(tables, "DROP TABLE acc")
    with load("setflag(3);", with_database(tables)) as script:
        answer = script.reply(script.request("INVITE sip:bob@192.0.2.20").request, 200)
        assert lines(answer)[0].startswith("ACC: not in table acc: timestamp=")
        assert answer.log[-1].level == "ERROR"
        assert answer.reply.status == 200


def test_values_that_are_too_long_are_shortened(tables: Path) -> None:
    run(tables, "CREATE TABLE short (method, from_tag, to_tag, callid, sip_code, "
        "sip_reason TEXT CHECK(length(sip_reason) <= 32), time)")  # fmt: skip
    params = with_database(tables, 'modparam("acc", "db_table_acc", "short")')
    with load("setflag(3);", params) as script:
        script.reply(script.request("INVITE sip:bob@192.0.2.20").request, 200, "x" * 40)
    assert rows(tables, "short", "sip_reason") == [("x" * 32,)]


# -- configuration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "word"),
    [
        ('"log_extra", "x"', "log_extra"), ('"log_extra", "x=y"', "log_extra"), ('"log_extra", "x=$si y"', "log_extra"),
        ('"log_extra", "x=$nothing"', "pseudo-variable"), ('"multi_leg_info", "x=$si"', "multi_leg_info"),
        ('"log_extra", "' + ";".join(["x=$si"] * 65) + '"', "at most 64"),
        ('"multi_leg_info", "' + ";".join(["x=$avp(i:1)"] * 17) + '"', "at most 16"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_read(param: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load(params=f'modparam("acc", {param})')


def test_sixty_four_extras_and_sixteen_legs_are_possible() -> None:
    extras, legs = ";".join(f"x{n}=$si" for n in range(64)), ";".join(f"l{n}=$avp(i:{n})" for n in range(16))
    params = f'modparam("acc", "log_extra", "{extras}") modparam("acc", "multi_leg_info", "{legs}")'
    with load(params=params) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert lines(script.reply(call.request, 200))[0].count(";") == 6 + 64 + 16


def test_labels_of_the_database_are_columns(tables: Path) -> None:
    with pytest.raises(ConfigError, match="no name of a column"):
        load(params=with_database(tables, 'modparam("acc", "db_extra", "no-column=$si")'))


@pytest.mark.parametrize(
    "param",
    [
        '"radius_flag", 3', '"radius_missed_flag", 3', '"radius_extra", "a=$si"', '"radius_config", "/etc/radius"',
        '"service_type", 15', '"diameter_flag", 3', '"diameter_missed_flag", 3', '"diameter_extra", "1=$si"',
        '"diameter_client_host", "aaa"', '"diameter_client_port", 1',
    ],
)  # fmt: skip
def test_radius_and_diameter_are_refused(param: str) -> None:
    with pytest.raises(ConfigErrors, match="is not in this version"):
        load(params=f'modparam("acc", {param})')


def test_radius_and_diameter_that_are_off_are_no_error() -> None:
    load(params='modparam("acc", "radius_config", "") modparam("acc", "radius_flag", -1)').close()


@pytest.mark.parametrize("function", ["acc_rad_request", "acc_diam_request"])
def test_functions_of_radius_and_diameter_are_refused(function: str) -> None:
    with pytest.raises(ConfigErrors, match="not in this version"):
        load(f'{function}("200 OK");')


def test_arguments_are_checked() -> None:
    with pytest.raises(ConfigErrors, match="comment is empty"):
        load('acc_log_request("");')
    with pytest.raises(ConfigErrors, match="no name of a table"):
        load('acc_db_request("x", "no table");')
    with pytest.raises(ConfigErrors, match="cannot be used in branch_route"):
        load('t_on_branch("1");', more='branch_route[1] { acc_log_request("x"); }')
    with pytest.raises(ConfigError, match="tm"):
        Script.text("route { drop(); }", ["acc"])
    with pytest.raises(ConfigError, match="rr"):
        Script.text("route { drop(); }", ["tm", "acc"]).close()
        Script.text('modparam("acc", "detect_direction", 1) route { drop(); }', ["tm", "acc"])
