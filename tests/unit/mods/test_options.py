"""options: what the server says of itself."""

import pytest

from openserd.errors import ConfigError
from openserd.testing import Script

ROUTE = 'route { if (!options_reply()) sl_send_reply("404", "Not Found"); else log(1, "not reached"); }'


def test_an_options_request_to_the_server_is_answered() -> None:
    with Script.text(ROUTE, ["sl", "options"]) as script:
        result = script.request("OPTIONS sip:198.51.100.1")
        reply = result.reply
        assert (reply.status, reply.reason, result.log) == (200, "OK", [])
        names = ("Accept", "Accept-Encoding", "Accept-Language", "Supported")
        assert [reply.headers(name) for name in names] == [["*/*"], [""], ["en"], [""]]


def test_the_values_are_the_operator_s() -> None:
    params = {"accept": "application/sdp", "accept_encoding": "gzip", "accept_language": "de", "support": "path"}
    given = " ".join(f'modparam("options", "{name}", "{value}")' for name, value in params.items())
    with Script.text(given + ROUTE, ["sl", "options"]) as script:
        reply = script.request("OPTIONS sip:198.51.100.1").reply
        names = ("Accept", "Accept-Encoding", "Accept-Language", "Supported")
        assert [reply.header(name) for name in names] == list(params.values())


@pytest.mark.parametrize("line", ["OPTIONS sip:bob@198.51.100.1", "INVITE sip:198.51.100.1"])
def test_a_user_s_options_and_other_requests_are_left_to_the_script(line: str) -> None:
    with Script.text(ROUTE, ["sl", "options"]) as script:
        assert script.request(line).reply.status == 404


def test_a_reply_that_cannot_be_sent_does_not_end_the_script() -> None:
    with Script.text('route { if (!options_reply()) log(1, "failed"); }', ["sl", "options"]) as script:
        script.unreachable.add("192.0.2.10:5060")
        assert script.request("OPTIONS sip:198.51.100.1").log[-1] == "failed"


def test_it_needs_sl() -> None:
    with pytest.raises(ConfigError, match="module sl is needed"):
        Script.text("route { options_reply(); }", ["options"])
