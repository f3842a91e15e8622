"""diversion: for whom a diverted call was meant."""

from openserd.testing import Script

ROUTE = (
    'route { rewriteuri("sip:carol@192.0.2.30"); add_diversion("user-busy"); add_diversion("deflection"); forward(); }'
)


def test_the_received_uri_is_named_the_latest_diversion_first() -> None:
    with Script.text(ROUTE, ["diversion"]) as script:
        sent = script.request("INVITE sip:bob@example.com").request
        assert sent.headers("Diversion") == [
            "<sip:bob@example.com>;reason=deflection",
            "<sip:bob@example.com>;reason=user-busy",
        ]
        assert sent.text.index("Diversion") > sent.text.index("Content-Length")


def test_it_stands_above_those_of_earlier_servers() -> None:
    with Script.text(ROUTE, ["diversion"]) as script:
        sent = script.request("INVITE sip:bob@example.com", headers={"Diversion": "<sip:x@y>;reason=unknown"}).request
        assert [value.partition("reason=")[2] for value in sent.headers("Diversion")] == [
            "deflection",
            "user-busy",
            "unknown",
        ]


def test_the_suffix_is_added() -> None:
    with Script.text(f'modparam("diversion", "suffix", ";privacy=full") {ROUTE}', ["diversion"]) as script:
        sent = script.request("INVITE sip:bob@example.com").request
        assert sent.header("Diversion") == "<sip:bob@example.com>;reason=deflection;privacy=full"
