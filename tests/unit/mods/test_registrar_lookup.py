"""lookup() and registered(): where a request to a user goes."""

from collections.abc import Iterator

import pytest

from openserd.core.destinations import MAX_BRANCHES
from tests.unit.mods.location_kit import RecordingListener, Site, register

A = "<sip:alice@192.0.2.10>"
B = "<sip:alice@192.0.2.11>"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def test_nobody_registered_is_minus_1_and_leaves_the_request_alone(site: Site) -> None:
    msg = site.request()
    assert site.registrar.lookup(msg, site.table) == -1
    assert site.registrar.registered(msg, site.table) == -1
    assert (msg.ruri, msg.branches) == (b"sip:alice@example.com", [])


def test_a_contact_becomes_the_request_uri(site: Site) -> None:
    site.register(['"A" <sip:alice@192.0.2.10;line=1>;q=0.5;x=y'])
    msg = site.request()
    assert msg.uri.user == b"alice"
    assert site.registrar.lookup(msg, site.table) == 1
    assert (msg.ruri, msg.uri.host, msg.q) == (b"sip:alice@192.0.2.10;line=1", b"192.0.2.10", 500)
    assert (msg.dst_uri, msg.path, msg.force_listener) == (None, b"", site.listener)
    assert msg.original_ruri == b"sip:alice@example.com"


def test_the_current_request_uri_is_looked_up(site: Site) -> None:
    site.register([A])
    msg = site.request(ruri="sip:else@example.com")
    msg.set_ruri(b"sip:alice@example.com")
    assert site.registrar.lookup(msg, site.table) == 1


def test_further_contacts_become_branches_by_q(site: Site) -> None:
    msg = site.message(register(["<sip:low@h>;q=0.1", "<sip:none@h>", "<sip:high@h>;q=0.9"]))
    msg.branch_flags = 5
    site.save(msg)
    request = site.request()
    assert site.registrar.lookup(request, site.table) == 1
    assert request.ruri == b"sip:high@h"
    assert [(one.uri, one.q, one.flags) for one in request.branches] == [
        (b"sip:low@h", 100, 5), (b"sip:none@h", None, 5),
    ]  # fmt: skip
    assert [one.listener for one in request.branches] == [site.listener] * 2


def test_append_branches_0_takes_the_first_contact_only() -> None:
    site = Site(registrar={"append_branches": 0})
    site.register([A, B])
    msg = site.request()
    assert (site.registrar.lookup(msg, site.table), msg.branches) == (1, [])
    site.close()


def test_no_more_branches_are_added_than_a_request_can_have(site: Site) -> None:
    site.register([f"<sip:{number}@h>" for number in range(20)])
    msg = site.request()
    assert site.registrar.lookup(msg, site.table) == 1
    assert len(msg.branches) == MAX_BRANCHES - 1


def test_branch_flags_of_the_binding_are_added_to_those_set(site: Site) -> None:
    msg = site.message(register([A]))
    msg.branch_flags = 6
    site.save(msg)
    request = site.request()
    request.branch_flags = 1
    site.registrar.lookup(request, site.table)
    assert request.branch_flags == 7


def test_received_becomes_the_next_hop(site: Site) -> None:
    site.register([A + ";received=sip:203.0.113.9:1024;q=1", B + ";received=sip:203.0.113.8"])
    msg = site.request()
    site.registrar.lookup(msg, site.table)
    assert (msg.ruri, msg.dst_uri) == (b"sip:alice@192.0.2.10", b"sip:203.0.113.9:1024")
    assert msg.branches[0].dst_uri == b"sip:203.0.113.8"


def test_a_next_hop_set_by_the_script_stays_for_contacts_without_one(site: Site) -> None:
    site.register([A, B])
    msg = site.request()
    msg.dst_uri = b"sip:outbound@192.0.2.99"
    site.registrar.lookup(msg, site.table)
    assert msg.dst_uri == b"sip:outbound@192.0.2.99"
    assert msg.branches[0].dst_uri is None


def test_the_listener_that_the_phone_registered_through_is_used() -> None:
    listeners = [RecordingListener(), RecordingListener("192.0.2.2", 5080)]
    site = Site(listeners=listeners)
    msg = site.message(register([A]))
    msg.listener = listeners[1]
    site.registrar.save(msg, site.table, 2)
    request = site.request()
    site.registrar.lookup(request, site.table)
    assert request.force_listener is listeners[1]
    site.close()


def test_a_listener_that_is_no_more_is_left_to_routing() -> None:
    site = Site()
    site.register([A])
    site.core.listening.all.clear()
    site.registrar.sockets.by_text.clear()
    msg = site.request()
    site.registrar.lookup(msg, site.table)
    assert msg.force_listener is None
    site.close()


def test_expired_contacts_are_skipped(site: Site) -> None:
    site.register([A + ";expires=60;q=1", B + ";expires=100"])
    site.clock.now += 60
    msg = site.request()
    assert site.registrar.lookup(msg, site.table) == 1
    assert (msg.ruri, msg.branches) == (b"sip:alice@192.0.2.11", [])
    assert site.registrar.registered(site.request(), site.table) == 1
    site.clock.now += 40
    assert site.registrar.lookup(site.request(), site.table) == -1
    assert site.registrar.registered(site.request(), site.table) == -1


def test_method_filtering_leaves_out_contacts_that_do_not_take_the_method() -> None:
    site = Site(registrar={"method_filtering": 1})
    site.register([A + ';methods="MESSAGE";q=1', B + ';methods="INVITE"', "<sip:c@h>;methods=MESSAGE"])
    msg = site.request()
    assert (site.registrar.lookup(msg, site.table), msg.ruri, msg.branches) == (1, b"sip:alice@192.0.2.11", [])
    assert site.registrar.lookup(site.request("SUBSCRIBE"), site.table) == -2
    assert site.registrar.lookup(site.request(ruri="sip:bob@example.com"), site.table) == -1
    site.clock.now += 3600
    assert site.registrar.lookup(site.request("SUBSCRIBE"), site.table) == -1
    site.close()


def test_without_method_filtering_methods_do_not_matter(site: Site) -> None:
    site.register([A + ';methods="MESSAGE"'])
    assert site.registrar.lookup(site.request(), site.table) == 1


def test_a_request_uri_that_is_no_aor_is_minus_3_and_not_registered(site: Site) -> None:
    msg = site.request(ruri="sip:%zz@example.com")
    assert site.registrar.lookup(msg, site.table) == -3
    assert site.registrar.registered(msg, site.table) == -1
    assert msg.error is None


def test_a_request_uri_without_user_is_not_found(site: Site) -> None:
    assert site.registrar.lookup(site.request(ruri="sip:example.com"), site.table) == -1


def test_registered_is_true_for_a_user_with_contacts_and_changes_nothing(site: Site) -> None:
    site.register([A])
    msg = site.request()
    assert site.registrar.registered(msg, site.table) == 1
    assert msg.ruri == b"sip:alice@example.com"


def test_unregister_takes_all_contacts_of_an_aor_and_of_no_other(site: Site) -> None:
    site.register([A, B])
    site.register(["<sip:bob@192.0.2.12>"], to="sip:bob@example.com")
    msg = site.request()
    assert site.registrar.unregister(msg, site.table, b"sip:Alice@example.com:5070;x=y") == 1
    assert (site.uris(b"alice"), site.uris(b"bob")) == ([], [b"sip:bob@192.0.2.12"])
    assert site.registrar.unregister(msg, site.table, b"sip:alice@example.com") == 1
    assert site.registrar.unregister(msg, site.table, b"alice") == -1
    assert site.registrar.unregister(msg, site.table, b"sip:example.com") == -1
