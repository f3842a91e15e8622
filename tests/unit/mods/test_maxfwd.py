"""maxfwd: each hop counts down, and a message that has used up its hops goes no further."""

import pytest

from openserd.core.module import REQUEST
from openserd.errors import ConfigError, SipError
from openserd.mods.maxfwd import MaxFwd
from tests.support.recording import call, forwarded, lines_of, make_core, request

CORE = make_core()


def process(msg, limit="10", **params):
    return call(MaxFwd(**params), CORE, "mf_process_maxfwd_header", msg, limit)


@pytest.mark.conformance("PRX-17")
def test_max_forwards_is_lowered_by_one() -> None:
    msg = request(headers=["Max-Forwards: 17"])
    assert process(msg) == 1
    assert lines_of(forwarded(msg), "Max-Forwards") == ["16"]


@pytest.mark.conformance("PRX-17")
def test_a_missing_one_is_added_before_all_header_lines() -> None:
    msg = request()
    assert process(msg) == 2
    lines = forwarded(msg).split(b"\r\n")
    assert lines[1].startswith(b"Via: SIP/2.0/UDP 198.51.100.1;") and lines[2] == b"Max-Forwards: 10"
    assert lines[3].startswith(b"Via: SIP/2.0/UDP 192.0.2.10:5062")


@pytest.mark.conformance("PRX-05")
def test_zero_is_refused_and_left_alone() -> None:
    msg = request(headers=["Max-Forwards: 0"])
    assert process(msg) == -1 and not msg.lumps


def test_what_is_sent_is_not_above_max_limit() -> None:
    msg = request(headers=["Max-Forwards: 200"])
    assert process(msg, max_limit=70) == 1
    assert lines_of(forwarded(msg), "Max-Forwards") == ["70"]


def test_a_value_at_max_limit_is_still_lowered() -> None:
    msg = request(headers=["Max-Forwards: 70"])
    process(msg, max_limit=70)
    assert lines_of(forwarded(msg), "Max-Forwards") == ["69"]


def test_a_second_call_finds_what_the_first_has_set() -> None:
    msg = request(headers=["Max-Forwards: 2"])
    assert [process(msg), process(msg), process(msg)] == [1, 1, -1]
    assert lines_of(forwarded(msg), "Max-Forwards") == ["0"]


def test_a_second_call_lowers_what_the_first_has_added() -> None:
    msg = request()
    assert [process(msg), process(msg)] == [2, 1]
    assert lines_of(forwarded(msg), "Max-Forwards") == ["9"]


def test_a_malformed_value_is_an_error() -> None:
    msg = request(headers=["Max-Forwards: many"])
    assert process(msg) == -2
    assert isinstance(msg.error, SipError) and msg.error.code == 400
    assert call(MaxFwd(), CORE, "is_maxfwd_lt", msg, "10") == -3


@pytest.mark.parametrize(
    ("headers", "code"), [(["Max-Forwards: 9"], 1), (["Max-Forwards: 10"], -1), (["Max-Forwards: 11"], -1), ([], -2)]
)
def test_is_maxfwd_lt_compares(headers: list[str], code: int) -> None:
    assert call(MaxFwd(), CORE, "is_maxfwd_lt", request(headers=headers), "10") == code


def test_is_maxfwd_lt_sees_the_lowered_value() -> None:
    msg = request(headers=["Max-Forwards: 10"])
    process(msg)
    assert call(MaxFwd(), CORE, "is_maxfwd_lt", msg, "10") == 1


@pytest.mark.parametrize("limit", ["0", "71", "ten"])
def test_a_limit_out_of_range_is_reported_when_the_script_is_read(limit: str) -> None:
    with pytest.raises(ConfigError):
        process(request(), limit, max_limit=70)


@pytest.mark.parametrize("value", [0, 257])
def test_max_limit_is_checked(value: int) -> None:
    with pytest.raises(ConfigError):
        MaxFwd(max_limit=value)


def test_only_the_request_route_may_count_down() -> None:
    assert MaxFwd.functions["mf_process_maxfwd_header"].routes == REQUEST
