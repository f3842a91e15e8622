"""db_mode 3: the database alone; two servers on one database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from openserd.mods.usrloc.location import ANY_EVENT, DELETE, INSERT, UPDATE
from tests.unit.mods.location_kit import NOW
from tests.unit.mods.location_tables import DatabaseSite, T, make_tables, run

A = "sip:a@192.0.2.10"
B = "sip:b@192.0.2.10"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_tables(tmp_path)


@pytest.fixture
def site(path: Path) -> Iterator[DatabaseSite]:
    site = DatabaseSite(path, 3)
    yield site
    site.close()


@pytest.fixture
def other(path: Path) -> Iterator[DatabaseSite]:
    site = DatabaseSite(path, 3)
    yield site
    site.close()


def test_two_servers_see_each_others_registrations(site: DatabaseSite, other: DatabaseSite) -> None:
    site.register([f"<{A}>"])
    assert other.uris() == [A.encode()]
    assert other.registrar.lookup(other.request(), T) == 1
    other.register([f"<{B}>"])
    assert site.uris() == [A.encode(), B.encode()]
    other.register([f"<{A}>;expires=0"], cseq=9)
    assert site.uris() == [B.encode()]


def test_nothing_is_kept_in_memory(site: DatabaseSite) -> None:
    site.register([f"<{A}>"])
    assert list(site.location.table.slots()) == []
    run(site.path, "DELETE FROM location")
    assert site.uris() == []


def test_a_register_is_checked_against_what_the_other_server_stored(site: DatabaseSite, other: DatabaseSite) -> None:
    site.register([f"<{A}>"], cseq=5)
    assert other.register([f"<{A}>"], cseq=4).status == 400
    assert [row["cseq"] for row in site.rows()] == [5]
    assert other.register([f"<{A}>"], cseq=6).status == 200
    assert [row["cseq"] for row in site.rows()] == [6]


def test_a_refused_register_changes_nothing(path: Path) -> None:
    site = DatabaseSite(path, 3, max_contacts=1)
    site.register([f"<{A}>"])
    assert site.register([f"<{B}>"]).status == 503
    assert site.stored() == [A]
    assert site.register([f"<{A}>;expires=0", f"<{B}>"]).status == 200
    assert site.stored() == [B]
    site.close()


def test_bindings_come_in_their_order(path: Path) -> None:
    site, newest = DatabaseSite(path, 3), DatabaseSite(path, 3, desc_time_order=1)
    for contact, q in (("sip:low@h", "0.1"), ("sip:none@h", ""), ("sip:high@h", "0.9")):
        site.register([f"<{contact}>{';q=' + q if q else ''}"])
        site.clock.now += 1
    assert site.uris() == [b"sip:high@h", b"sip:low@h", b"sip:none@h"]
    assert newest.uris() == [b"sip:high@h", b"sip:none@h", b"sip:low@h"]
    site.close()
    newest.close()


def test_expired_rows_are_removed_and_counted(site: DatabaseSite) -> None:
    site.register([f"<{A}>;expires=60", f"<{B}>;expires=600"])
    site.usrloc.mi_ul_add("location", "bob", "sip:always@h", "0", "1", "0", "0", "0", "255")
    site.clock.now += 60
    assert site.uris() == [B.encode()]
    site.usrloc.expire()
    assert site.stored() == ["sip:always@h", B]
    assert site.statistic("location-expires") == 1


def test_a_register_removes_what_has_expired_of_its_aor(site: DatabaseSite) -> None:
    site.register([f"<{A}>;expires=60"])
    site.clock.now += 61
    site.register([f"<{B}>"])
    assert (site.stored(), site.statistic("location-expires")) == ([B], 1)


def test_ul_dump_and_ul_show_contact_show_the_database(site: DatabaseSite, other: DatabaseSite) -> None:
    site.register([f"<{A}>", f"<{B}>"])
    site.register([f"<{A}>"], to="sip:bob@example.com")
    (domain,) = other.usrloc.mi_ul_dump().nodes
    assert domain.attributes["records"] == 2
    assert [(aor.value, len(aor.children)) for aor in domain.children] == [(b"alice", 2), (b"bob", 1)]
    states = [child.value for child in domain.children[0].children[0].children if child.name == "State"]
    assert states == ["CS_SYNC"]
    assert len(other.usrloc.mi_ul_show_contact("location", "alice").nodes) == 2


def test_one_user_of_several_domains_has_several_aors(path: Path) -> None:
    site = DatabaseSite(path, 3, use_domain=1)
    for domain in ("one.example", "two.example", "one.example"):
        site.register([f"<sip:{site.cseq}@h>"], to=f"sip:alice@{domain}")
    found = {aor: len(bindings) for _, aor, bindings in site.location.records()}
    assert found == {b"alice@one.example": 2, b"alice@two.example": 1}
    assert len(list(site.location.contacts())) == 3
    site.close()


def test_rows_that_are_no_contacts_are_left_out(site: DatabaseSite, caplog: pytest.LogCaptureFixture) -> None:
    site.register([f"<{A}>", f"<{B}>"])
    run(site.path, "UPDATE location SET callid = '' WHERE contact = ?", A)
    assert site.uris() == [B.encode()]
    assert len(list(site.location.contacts())) == 1
    assert "left out" in caplog.text


def test_callbacks_are_told_of_changes(site: DatabaseSite) -> None:
    events: list[tuple[int, bytes]] = []
    site.location.on_change(ANY_EVENT, lambda event, table, aor, one: events.append((event, one.uri)))
    site.register([f"<{A}>"])
    site.register([f"<{A}>"])
    site.register([f"<{A}>;expires=0"])
    assert events == [(INSERT, A.encode()), (UPDATE, A.encode()), (DELETE, A.encode())]


def test_without_its_database_nothing_is_promised(site: DatabaseSite) -> None:
    site.register([f"<{A}>"])
    with site.outage():
        assert site.register([f"<{B}>"], result=0).status == 500
        assert site.register(result=0).status == 500
        assert site.registrar.lookup(site.request(), T) == -3
        assert site.registrar.registered(site.request(), T) == -1
        site.usrloc.expire()
        assert site.usrloc.mi_ul_rm("location", "alice").reason == "Failed to delete AOR"
        for reply in (
            site.usrloc.mi_ul_dump(),
            site.usrloc.mi_ul_show_contact("location", "alice"),
            site.usrloc.mi_ul_rm_contact("location", "alice", A),
        ):
            assert (reply.code, reply.reason) == (500, "Server Internal Error")
    assert site.uris() == [A.encode()]
    assert site.register([f"<{B}>"]).status == 200


def test_what_the_database_refuses_is_answered_with_500_and_said(
    site: DatabaseSite, caplog: pytest.LogCaptureFixture
) -> None:
    run(site.path, "CREATE TRIGGER no BEFORE INSERT ON location BEGIN SELECT RAISE(ABORT, 'not today'); END")
    assert site.register([f"<{A}>", f"<{B}>"], result=0).status == 500
    assert site.rows() == []
    assert "not today" in caplog.text


def test_a_table_that_went_is_said(site: DatabaseSite, caplog: pytest.LogCaptureFixture) -> None:
    run(site.path, "DROP TABLE location")
    assert site.registrar.lookup(site.request(), T) == -3
    site.usrloc.expire()
    assert caplog.text.count("no such table") == 2


def test_a_server_starts_without_its_database(path: Path) -> None:
    site = DatabaseSite(path, 3, is_away=True)
    assert site.register([f"<{A}>"]).status == 200
    assert [one.expires for one in site.location.get(T, b"alice")] == [NOW + 3600]
    site.close()
