"""The FIFO's language: requests however they are cut and interrupted, replies letter for letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.core.management.mi import Reply
from openserd.core.management.text import Argument, decoded, encoded, render, render_error
from openserd.ctl.client import parse_reply, quoted, request
from openserd.mods.mi_fifo.wire import MAX_LINE, MAX_REQUEST, Request, RequestReader

NO_INPUT = ("ps", "which", "uptime")
CALLERS = ("mine", "yours")

ARGUMENTS = (
    st.text()
    .filter(lambda t: "\n\n" not in t and "\0" not in t and not t.endswith("\\"))
    .filter(lambda t: not t.endswith(CALLERS))
)


def reader() -> RequestReader:
    """A reader that knows three commands without arguments; two callers wait."""
    return RequestReader(lambda command: command not in NO_INPUT, lambda name: name in CALLERS)


def read(data: bytes) -> list[Request]:
    return reader().feed(data)


def only(data: bytes) -> Request:
    (found,) = read(data)
    return found


# --- whole requests -------------------------------------------------------------------------------


def test_a_request_has_a_command_a_reply_name_and_arguments() -> None:
    assert only(b":ul_rm:there\nlocation\nalice@example.com\n\n") == Request(
        "ul_rm", "there", [Argument("", "location"), Argument("", "alice@example.com")]
    )


def test_a_command_without_input_is_complete_with_its_first_line() -> None:
    assert only(b":ps:there\n") == Request("ps", "there")
    assert [found.command for found in read(b":ps:a\nleft\nover\n\n:which:b\n\n")] == ["ps", "which"]


def test_two_colons_separate_name_and_value() -> None:
    request = only(b":c:r\n name :: value \nempty::\n::nameless\n\n")
    assert request.arguments == [Argument("name", "value"), Argument("empty", ""), Argument("", "nameless")]


def test_a_name_may_stand_before_a_quoted_value() -> None:
    assert only(b':c:r\nbody:: "a\nb"  \n\n').arguments == [Argument("body", "a\nb")]


def test_white_space_around_a_value_is_no_part_of_it() -> None:
    assert only(b":c:r\n \t two words \r\n\n").values == ["two words"]


def test_a_line_of_white_space_neither_ends_a_request_nor_is_an_argument() -> None:
    assert only(b":c:r\n  \n\r\na\n\n").values == ["a"]


def test_a_quoted_value_keeps_its_lines_and_escaped_quotes() -> None:
    text = b':c:r\n"From: \\"Alice\\" <sip:a@b>\r\nTo: <sip:c@d>\r\n"\n\n'
    assert only(text).values == ['From: "Alice" <sip:a@b>\r\nTo: <sip:c@d>\r\n']


def test_an_escaped_quote_may_be_the_first_character() -> None:
    assert only(b':c:r\n"\\"x\\""\n\n').values == ['"x"']


def test_quotes_protect_two_colons_and_outer_blanks() -> None:
    assert only(b':c:r\n"sip:[::1]"\n" x "\n""\n\n').values == ["sip:[::1]", " x ", ""]


@pytest.mark.parametrize(
    "line",
    [b'a"b', b'"a" b', b'na"me::v', b'n::v"w', b"a\0b", b'"a\0b"'],
    ids=["quote inside", "text behind", "quote in a name", "quote in a named value", "zero", "quoted zero"],
)
def test_a_bad_argument_makes_the_request_faulty_and_the_next_one_is_read(line: bytes) -> None:
    first, second = read(b":c:r\n" + line + b"\nrest\n\n:d:s\n\n")
    assert first.fault and (first.command, first.reply_name) == ("c", "r")
    assert second == Request("d", "s")


def test_an_empty_line_inside_quotes_ends_the_request_as_faulty() -> None:
    first, second = read(b':c:r\n"a\n\n:d:s\n\n')
    assert first.fault and second == Request("d", "s")


def test_a_first_line_is_read_without_trailing_white_space() -> None:
    assert only(b":ps:there \t\r\n").reply_name == "there"


def test_the_reply_name_may_be_missing() -> None:
    assert only(b":ps:\n").reply_name == ""


@pytest.mark.parametrize("line", [b":", b"::", b":x", b"::r", b":p\0s:r", b"ps:there:x", b"hello", b"\xff\xfe"])
def test_lines_that_begin_no_request_are_counted_and_passed_over(line: bytes) -> None:
    found = reader()
    assert [r.command for r in found.feed(line + b"\n\n:ps:there\n")] == ["ps"]
    assert found.skipped == 1


# --- every cut ------------------------------------------------------------------------------------


def test_it_does_not_matter_where_the_bytes_are_cut() -> None:
    text = b'junk\n:c:r\na::b\n"q\\"\nr"\n\n:ps:x\n\n:bad:y\n"open\n\n:d:z\n\n'
    whole = read(text)
    for cut in range(len(text) + 1):
        parts = reader()
        assert parts.feed(text[:cut]) + parts.feed(text[cut:]) == whole
    single = reader()
    assert [found for byte in text for found in single.feed(bytes([byte]))] == whole


# --- callers that die halfway ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "left",
    [b":ps:re", b":", b":ul_rm", b":ul_rm:", b"garbage", b"\0\0", b":ul_rm:x\n", b":ul_rm:x\nloc",
     b':c:x\n"open', b':c:x\n"open\nstill ', b"x" * (MAX_LINE + 9), b":c:x\n" + b"y" * (MAX_LINE + 9),
     b":bad\nargument\n:ps"],
)  # fmt: skip
def test_what_a_dead_caller_left_does_not_spoil_the_next_request(left: bytes) -> None:
    last = read(left + b":get:mine\nall\n\n")[-1]
    assert last == Request("get", "mine", [Argument("", "all")])


def test_a_request_that_is_cut_off_is_answered_as_faulty() -> None:
    first, second = read(b":ul_rm:yours\nloca:get:mine\n\n")
    assert (first.reply_name, bool(first.fault), second) == ("yours", True, Request("get", "mine"))


def test_an_argument_that_looks_like_a_request_stays_one_while_nobody_waits_for_it() -> None:
    assert only(b":c:r\n:kill:nobody\nsip:ps:x\n\n").values == [":kill:nobody", "sip:ps:x"]


def test_arguments_of_a_faulty_request_are_not_run_as_commands() -> None:
    assert [found.command for found in read(b':c:r\na"b\n:kill:x\n\n')] == ["c"]


def test_what_stands_still_halfway_can_be_given_up() -> None:
    found = reader()
    assert not found.is_halfway
    assert found.feed(b":c:r\nsome") == [] and found.is_halfway
    (lost,) = found.expire()
    assert lost.fault and not found.is_halfway
    assert found.feed(b":d:s\n\n") == [Request("d", "s")] and found.expire() == []


# --- bounds ---------------------------------------------------------------------------------------


def test_a_line_without_end_takes_no_memory() -> None:
    found = reader()
    for _ in range(64):
        assert found.feed(b"x" * 65536) == []
        assert len(found.rest) <= MAX_LINE
    assert found.feed(b"\n:ps:r\n") == [Request("ps", "r")]


def test_a_request_inside_a_very_long_line_is_found() -> None:
    found = read(b"x" * 1_000_000 + b":get:mine\nall\n\n" + b"x" * 1_000_000 + b"\n:ps:yours\n")
    assert [r.command for r in found] == ["get", "ps"] and not any(r.fault for r in found)


def test_too_many_arguments_are_refused() -> None:
    (found,) = read(b":c:r\n" + b"argument\n" * MAX_REQUEST + b"\n")
    assert found.fault and len(found.arguments) < MAX_REQUEST


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b":", b"\n", b'"', b"::", b"\0", b":ps:x\n"]))))
def test_no_bytes_make_it_fail(pieces: list[bytes]) -> None:
    found = reader()
    for piece in pieces:
        found.feed(piece)
    found.expire()
    assert found.feed(b":get:mine\n\n") == [Request("get", "mine")]


# --- round trip with the client -------------------------------------------------------------------


@given(st.lists(ARGUMENTS))
def test_arguments_arrive_as_the_client_was_given_them(arguments: list[str]) -> None:
    assert only(request("c", "r", arguments)).values == arguments


@given(st.binary())
def test_bytes_survive_being_text(raw: bytes) -> None:
    assert encoded(decoded(raw)) == raw


def test_plain_arguments_are_sent_without_quotes() -> None:
    assert [quoted(t) for t in ("a", "a b", "", '"a"', "::1")] == ["a", "a b", '""', '"\\"a\\""', '"::1"']


# --- replies --------------------------------------------------------------------------------------


def test_a_reply_is_rendered_as_the_original_does() -> None:
    reply = Reply()
    reply.add("Process", ID=0, PID=17, Type="attendant")
    domain = reply.add("Domain", "location", table=512)
    domain.add("AOR", b"alice").add("Contact", "sip:a@b", Q="1").add("Expires", 60)
    reply.add(value="core:rcv_requests = 3")
    assert render(reply, "\t") == (
        b"200 OK\n"
        b"Process::  ID=0 PID=17 Type=attendant\n"
        b"Domain:: location table=512\n"
        b"\tAOR:: alice\n"
        b"\t\tContact:: sip:a@b Q=1\n"
        b"\t\t\tExpires:: 60\n"
        b"core:rcv_requests = 3\n"
        b"\n"
    )


def test_the_indent_is_a_choice() -> None:
    reply = Reply()
    reply.add("a").add("b").add("c")
    assert render(reply, "  ") == b"200 OK\na:: \n  b:: \n    c:: \n\n"
    assert render(reply, "") == b"200 OK\na:: \nb:: \nc:: \n\n"


def test_a_reply_without_nodes_is_its_status_and_an_empty_line() -> None:
    assert render(Reply(404, "AOR not found"), "\t") == b"404 AOR not found\n\n"


def test_an_error_without_a_command_is_one_line() -> None:
    assert render_error(500, "command 'x' not available") == b"500 command 'x' not available\n"


def test_text_that_is_no_utf8_goes_out_all_the_same() -> None:
    assert render(Reply(200, "\ud800"), "") == b"200 \\ud800\n\n"
    assert render(Reply(200, decoded(b"\xff")), "") == b"200 \xff\n\n"


def test_the_client_reads_what_is_rendered() -> None:
    reply = Reply(202, "Accepted")
    reply.add("WD", "/")
    read_back = parse_reply(render(reply, "\t"))
    assert (read_back.code, read_back.reason, read_back.lines) == (202, "Accepted", ["WD:: /"])
