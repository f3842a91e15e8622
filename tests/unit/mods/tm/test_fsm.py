"""The four state machines over every pair of state and event, against the figures of RFC 3261 and RFC 6026."""

import itertools

import pytest

from openserd.mods.tm.machines import fsm

SERVER_STATES = (fsm.TRYING, fsm.PROCEEDING, fsm.COMPLETED, fsm.CONFIRMED, fsm.ACCEPTED)
CLIENT_STATES = (fsm.CALLING, fsm.TRYING, fsm.PROCEEDING, fsm.COMPLETED, fsm.ACCEPTED)
SERVER_EVENTS = (fsm.REQUEST, fsm.ACK, fsm.SEND_1XX, fsm.SEND_2XX, fsm.SEND_NEGATIVE, fsm.TIMER_G, fsm.TIMER_H)
CLIENT_EVENTS = (fsm.GOT_100, fsm.GOT_1XX, fsm.GOT_2XX, fsm.GOT_NEGATIVE, fsm.TIMER_A, fsm.TIMER_B, fsm.TIMER_C)

#: (machine, state, event) -> next state, written from the figures; every other pair leaves the state alone
NEXT = {
    "INVITE_SERVER": {
        (fsm.PROCEEDING, fsm.REQUEST): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.SEND_1XX): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.SEND_2XX): fsm.ACCEPTED,
        (fsm.PROCEEDING, fsm.SEND_NEGATIVE): fsm.COMPLETED,
        (fsm.COMPLETED, fsm.REQUEST): fsm.COMPLETED,
        (fsm.COMPLETED, fsm.TIMER_G): fsm.COMPLETED,
        (fsm.COMPLETED, fsm.TIMER_H): fsm.CONFIRMED,
        (fsm.COMPLETED, fsm.ACK): fsm.CONFIRMED,
        (fsm.COMPLETED, fsm.SEND_2XX): fsm.COMPLETED,
        (fsm.CONFIRMED, fsm.SEND_2XX): fsm.CONFIRMED,
        (fsm.ACCEPTED, fsm.SEND_2XX): fsm.ACCEPTED,
    },
    "NON_INVITE_SERVER": {
        (fsm.TRYING, fsm.SEND_1XX): fsm.PROCEEDING,
        (fsm.TRYING, fsm.SEND_2XX): fsm.COMPLETED,
        (fsm.TRYING, fsm.SEND_NEGATIVE): fsm.COMPLETED,
        (fsm.PROCEEDING, fsm.REQUEST): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.SEND_1XX): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.SEND_2XX): fsm.COMPLETED,
        (fsm.PROCEEDING, fsm.SEND_NEGATIVE): fsm.COMPLETED,
        (fsm.COMPLETED, fsm.REQUEST): fsm.COMPLETED,
    },
    "INVITE_CLIENT": {
        (fsm.CALLING, fsm.TIMER_A): fsm.CALLING,
        (fsm.CALLING, fsm.TIMER_B): fsm.COMPLETED,
        (fsm.CALLING, fsm.GOT_100): fsm.PROCEEDING,
        (fsm.CALLING, fsm.GOT_1XX): fsm.PROCEEDING,
        (fsm.CALLING, fsm.GOT_2XX): fsm.ACCEPTED,
        (fsm.CALLING, fsm.GOT_NEGATIVE): fsm.COMPLETED,
        (fsm.PROCEEDING, fsm.GOT_100): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.GOT_1XX): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.GOT_2XX): fsm.ACCEPTED,
        (fsm.PROCEEDING, fsm.GOT_NEGATIVE): fsm.COMPLETED,
        (fsm.PROCEEDING, fsm.TIMER_C): fsm.COMPLETED,
        (fsm.COMPLETED, fsm.GOT_NEGATIVE): fsm.COMPLETED,
        (fsm.COMPLETED, fsm.GOT_2XX): fsm.ACCEPTED,
        (fsm.ACCEPTED, fsm.GOT_2XX): fsm.ACCEPTED,
    },
    "NON_INVITE_CLIENT": {
        (fsm.TRYING, fsm.TIMER_A): fsm.TRYING,
        (fsm.TRYING, fsm.TIMER_B): fsm.COMPLETED,
        (fsm.TRYING, fsm.GOT_100): fsm.PROCEEDING,
        (fsm.TRYING, fsm.GOT_1XX): fsm.PROCEEDING,
        (fsm.TRYING, fsm.GOT_2XX): fsm.COMPLETED,
        (fsm.TRYING, fsm.GOT_NEGATIVE): fsm.COMPLETED,
        (fsm.PROCEEDING, fsm.TIMER_A): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.TIMER_B): fsm.COMPLETED,
        (fsm.PROCEEDING, fsm.GOT_100): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.GOT_1XX): fsm.PROCEEDING,
        (fsm.PROCEEDING, fsm.GOT_2XX): fsm.COMPLETED,
        (fsm.PROCEEDING, fsm.GOT_NEGATIVE): fsm.COMPLETED,
    },
}


@pytest.mark.parametrize("name", NEXT)
def test_every_pair_of_state_and_event_leads_where_the_figure_says(name: str) -> None:
    machine = getattr(fsm, name)
    states, events = (SERVER_STATES, SERVER_EVENTS) if name.endswith("SERVER") else (CLIENT_STATES, CLIENT_EVENTS)
    for state, event in itertools.product(states, events):
        after, actions = machine.get((state, event), (state, ()))
        assert after == NEXT[name].get((state, event), state), (state, event)
        if (state, event) not in NEXT[name]:
            assert actions == ()
    assert set(machine) == set(NEXT[name])


def test_only_a_negative_reply_to_invite_is_retransmitted_by_the_server() -> None:
    starters = {
        pair
        for machine in (fsm.INVITE_SERVER, fsm.NON_INVITE_SERVER)
        for pair, (_, actions) in machine.items()
        if fsm.START_G in actions
    }
    assert starters == {(fsm.PROCEEDING, fsm.SEND_NEGATIVE)}


def test_every_negative_reply_to_invite_is_acknowledged_by_the_client() -> None:
    for state in (fsm.CALLING, fsm.PROCEEDING, fsm.COMPLETED):
        assert fsm.SEND_ACK in fsm.INVITE_CLIENT[state, fsm.GOT_NEGATIVE][1]


def test_a_100_starts_timer_c_and_only_later_provisional_replies_start_it_anew() -> None:
    invite = fsm.INVITE_CLIENT
    assert {pair for pair, (_, actions) in invite.items() if fsm.START_C in actions} == {
        (fsm.CALLING, fsm.GOT_100),
        (fsm.CALLING, fsm.GOT_1XX),
        (fsm.PROCEEDING, fsm.GOT_1XX),
    }


def test_every_2xx_to_invite_is_passed_up() -> None:
    for state in CLIENT_STATES:
        if state != fsm.TRYING:
            assert fsm.PASS_UP in fsm.INVITE_CLIENT[state, fsm.GOT_2XX][1]


@pytest.mark.parametrize(
    ("status", "reply", "send"),
    [
        (100, fsm.GOT_100, fsm.SEND_1XX),
        (101, fsm.GOT_1XX, fsm.SEND_1XX),
        (199, fsm.GOT_1XX, fsm.SEND_1XX),
        (200, fsm.GOT_2XX, fsm.SEND_2XX),
        (299, fsm.GOT_2XX, fsm.SEND_2XX),
        (300, fsm.GOT_NEGATIVE, fsm.SEND_NEGATIVE),
        (699, fsm.GOT_NEGATIVE, fsm.SEND_NEGATIVE),
    ],
)
def test_a_status_is_the_event_of_its_class(status: int, reply: int, send: int) -> None:
    assert (fsm.REPLY_EVENTS[status], fsm.SEND_EVENTS[status]) == (reply, send)
