"""t_cancel_branch: branches that a script cancels when it sees a reply."""

import pytest

from openserd.script import ConfigErrors
from openserd.testing import Result, Script

REPLIES = """loadmodule "xlog.so"
route {{ t_on_reply("1"); {more} t_relay(); }}
onreply_route[1] {{ if (t_check_status("{when}")) {{ if (t_cancel_branch({which})) {{ xlog("L_ERR", "yes"); }} }} }}"""
FORK = 'append_branch("sip:carol@192.0.2.21"); append_branch("sip:dave@192.0.2.22");'
BOB, CAROL, DAVE = "192.0.2.20", "192.0.2.21", "192.0.2.22"


def script(which: str = "", when: str = "183", more: str = FORK) -> Script:
    """A script that cancels when a reply with some status comes."""
    return Script.text(REPLIES.format(which=which, when=when, more=more), ["sl", "tm"])


def cancelled(*results: Result) -> list[str]:
    """Where CANCEL has gone."""
    return sorted(sent.destination[0] for result in results for sent in result.forwarded if sent.method == "CANCEL")


@pytest.mark.parametrize(("which", "ends"), [("", [CAROL]), ('""', [CAROL]), ('"o"', [BOB]), ('"a"', [BOB, CAROL])])
def test_the_branch_of_the_reply_all_others_or_all_are_cancelled(which: str, ends: list[str]) -> None:
    with script(which) as server:
        call = server.request("INVITE sip:bob@192.0.2.20")
        bob, carol, _ = call.forwarded
        server.reply(bob, 180)
        result = server.reply(carol, 183)
        assert cancelled(result) == ends
        assert [str(line) for line in result.log] == ["yes"]
        assert [reply.status for reply in result.replies] == [183]


def test_a_branch_without_any_reply_is_cancelled_when_it_rings() -> None:
    with script('"o"') as server:
        bob, carol, dave = server.request("INVITE sip:bob@192.0.2.20").forwarded
        assert cancelled(server.reply(carol, 183)) == []
        assert cancelled(server.reply(dave, 180)) == [DAVE]
        server.reply(dave, 487)
        assert cancelled(server.reply(bob, 180)) == [BOB]
        server.reply(bob, 487)
        assert [reply.status for reply in server.reply(carol, 486).replies] == [486]


def test_a_cancelled_branch_that_never_ends_is_given_up_after_fr_timer() -> None:
    with script(more="") as server:
        call = server.request("INVITE sip:bob@192.0.2.20")
        assert cancelled(server.reply(call.request, 183)) == [BOB]
        assert 408 in [reply.status for reply in server.advance(31).replies]


def test_a_final_reply_does_not_cancel_its_own_branch() -> None:
    with script('"a"', when="486") as server:
        bob, carol, _ = server.request("INVITE sip:bob@192.0.2.20").forwarded
        server.reply(carol, 180)
        assert cancelled(server.reply(bob, 486)) == [CAROL]


def test_requests_other_than_invite_cannot_be_cancelled() -> None:
    with script(when="1..", more="") as server:
        call = server.request("MESSAGE sip:bob@192.0.2.20")
        result = server.reply(call.request, 180)
        assert (cancelled(result), result.log) == ([], [])


def test_other_words_are_refused() -> None:
    with pytest.raises(ConfigErrors, match="names no branches"):
        script('"x"')
