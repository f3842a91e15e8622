"""Bindings in memory and in a database: what is written when, what happens while the database is away."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from openserd.core.database import DatabaseBusy, DatabaseUnavailable, Value
from openserd.mods.usrloc import backed
from openserd.mods.usrloc.backed import Backed, Work
from openserd.mods.usrloc.binding import Binding
from openserd.mods.usrloc.doubt import SETTLE_SECONDS
from tests.unit.mods.location_kit import NOW
from tests.unit.mods.location_tables import DatabaseSite, T, made, make_tables, outage, run

A = "sip:a@192.0.2.10"
B = "sip:b@192.0.2.10"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_tables(tmp_path)


@pytest.fixture
def through(path: Path) -> Iterator[DatabaseSite]:
    site = DatabaseSite(path, 1)
    yield site
    site.close()


@pytest.fixture
def back(path: Path) -> Iterator[DatabaseSite]:
    site = DatabaseSite(path, 2)
    yield site
    site.close()


def put(location: Backed, *bindings: Binding, aor: bytes = b"alice") -> None:
    location.update(T, aor, NOW, lambda valid, now: [*valid, *bindings])


# --- write-through ----------


def test_write_through_writes_each_registration_at_once(through: DatabaseSite) -> None:
    through.register([f"<{A}>;q=0.5;expires=300"], headers=["User-Agent: Phone"])
    (row,) = through.rows()
    assert {name: row[name] for name in ("username", "domain", "contact", "q", "callid", "cseq", "user_agent")} == {
        "username": "alice", "domain": "", "contact": A, "q": 0.5, "callid": "843817637684230@998sdasdh09", "cseq": 1,
        "user_agent": "Phone",
    }  # fmt: skip
    assert (row["socket"], row["methods"], row["received"], row["path"]) == ("udp:192.0.2.1:5060", None, None, None)
    assert through.states() == {A: "CS_SYNC"}


def test_write_through_updates_the_row_whatever_the_call_id(through: DatabaseSite) -> None:
    through.register([f"<{A}>"], call_id="one")
    through.register([f"<{A}>"], call_id="two")
    assert [(row["callid"], row["cseq"]) for row in through.rows()] == [("two", 2)]


def test_in_matching_mode_1_each_call_id_has_its_row(path: Path) -> None:
    site = DatabaseSite(path, 1, matching_mode=1)
    site.register([f"<{A}>"], call_id="one")
    site.register([f"<{A}>"], call_id="two")
    site.register([f"<{A}>;expires=0"], call_id="one")
    assert [row["callid"] for row in site.rows()] == ["two"]
    site.close()


def test_write_through_deletes_at_once(through: DatabaseSite) -> None:
    through.register([f"<{A}>", f"<{B}>"])
    through.register([f"<{A}>;expires=0"])
    assert through.stored() == [B]
    through.register(["*"], headers=["Expires: 0"])
    assert through.stored() == []
    assert list(through.location.records()) == []


def test_several_contacts_of_one_register_are_written_together(through: DatabaseSite) -> None:
    through.register([f"<{A}>", f"<{B}>"])
    assert through.stored() == [A, B]
    through.register([f"<{A}>;expires=0", "<sip:c@192.0.2.10>"])
    assert through.stored() == [B, "sip:c@192.0.2.10"]


def test_a_retransmission_writes_nothing(through: DatabaseSite) -> None:
    through.register([f"<{A}>"], cseq=1)
    run(through.path, "DELETE FROM location")
    through.register([f"<{A}>"], cseq=1)
    assert through.rows() == []


def test_use_domain_writes_user_and_domain(path: Path) -> None:
    site = DatabaseSite(path, 1, use_domain=1)
    for domain in ("one.example", "two.example"):
        site.register([f"<{A}>"], to=f"sip:alice@{domain}")
    site.register([f"<{A}>;expires=0"], to="sip:alice@one.example")
    assert [(row["username"], row["domain"]) for row in site.rows()] == [("alice", "two.example")]
    site.close()


@pytest.mark.parametrize("db_mode", [1, 2, 3])
def test_memory_only_contacts_are_never_written(path: Path, db_mode: int) -> None:
    site = DatabaseSite(path, db_mode)
    site.register([f"<{A}>"], flags=1)
    assert site.usrloc.mi_ul_flush().code == 200
    site.usrloc.on_exit()
    assert site.rows() == []
    site.close()


def test_a_contact_that_becomes_memory_only_leaves_the_database(through: DatabaseSite) -> None:
    through.register([f"<{A}>"])
    through.register([f"<{A}>"], flags=1)
    assert (through.rows(), through.states()) == ([], {A: "CS_NEW"})
    through.register([f"<{A}>"])
    assert (through.stored(), through.states()) == ([A], {A: "CS_SYNC"})


# --- write-back ----------


def test_write_back_writes_with_the_timer(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    assert (back.rows(), back.states()) == ([], {A: "CS_NEW"})
    back.usrloc.expire()
    assert (back.stored(), back.states()) == ([A], {A: "CS_SYNC"})
    back.register([f"<{A}>"], cseq=9)
    assert ([row["cseq"] for row in back.rows()], back.states()) == ([1], {A: "CS_DIRTY"})
    back.usrloc.expire()
    assert ([row["cseq"] for row in back.rows()], back.states()) == ([9], {A: "CS_SYNC"})


def test_write_back_remembers_deletions_until_they_are_written(back: DatabaseSite) -> None:
    back.register([f"<{A}>", f"<{B}>"])
    back.usrloc.expire()
    back.register([f"<{A}>;expires=0"])
    assert (back.uris(), back.stored(), back.states()) == ([B.encode()], [A, B], {A: "deleted", B: "CS_SYNC"})
    assert back.statistic("location-contacts") == 1
    back.usrloc.expire()
    assert (back.stored(), back.states()) == ([B], {B: "CS_SYNC"})


def test_what_was_never_written_is_forgotten_without_a_trace(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    back.register([f"<{A}>;expires=0"])
    assert list(back.location.records()) == []


def test_a_contact_that_comes_back_before_its_deletion_is_written_is_updated(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    back.usrloc.expire()
    back.register([f"<{A}>;expires=0"])
    back.register([f"<{A}>"], cseq=9)
    assert back.states() == {A: "CS_DIRTY"}
    back.usrloc.expire()
    assert [row["cseq"] for row in back.rows()] == [9]


@pytest.mark.parametrize("db_mode", [1, 2])
def test_expiry_removes_bindings_and_rows_and_counts_them(path: Path, db_mode: int) -> None:
    site = DatabaseSite(path, db_mode)
    site.register([f"<{A}>;expires=60", f"<{B}>;expires=600"])
    site.usrloc.expire()
    site.clock.now += 60
    site.usrloc.expire()
    assert (site.stored(), site.states()) == ([B], {B: "CS_SYNC"})
    assert (site.statistic("location-expires"), site.statistic("location-contacts")) == (1, 1)
    site.clock.now += 600
    site.usrloc.expire()
    assert (site.rows(), site.location.n_users()) == ([], 0)
    site.close()


def test_what_has_not_changed_is_not_written_again(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    back.usrloc.expire()
    run(back.path, "UPDATE location SET cseq = 77")
    back.usrloc.expire()
    assert back.rows()[0]["cseq"] == 77


def test_the_end_writes_everything(path: Path) -> None:
    back = DatabaseSite(path, 2, max_aors=2000)
    for number in range(1200):
        put(back.backed, made(b"sip:%d@h" % number), aor=b"user%d" % number)
    back.usrloc.expire()
    put(back.backed, made(b"sip:more@h"), aor=b"user1")
    back.location.delete(T, b"user2", NOW)
    back.usrloc.on_exit()
    assert len(back.rows()) == 1200
    assert "sip:more@h" in back.stored()
    assert "sip:2@h" not in back.stored()
    back.close()


def test_ul_flush_writes_at_once(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    assert back.usrloc.mi_ul_flush().code == 200
    assert back.stored() == [A]


def test_ul_flush_says_when_it_could_not_write(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    with back.outage():
        assert back.usrloc.mi_ul_flush().code == 500


def test_two_do_not_flush_at_once(back: DatabaseSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backed, "TURN_SECONDS", 0.0)
    back.register([f"<{A}>"])
    back.backed.turn.acquire()
    back.usrloc.expire()
    assert (back.rows(), back.usrloc.mi_ul_flush().code) == ([], 500)
    back.backed.turn.release()
    back.usrloc.expire()
    assert back.stored() == [A]


# --- MI ----------


@pytest.mark.parametrize("db_mode", [1, 2, 3])
def test_mi_commands_follow_the_mode(path: Path, db_mode: int) -> None:
    site = DatabaseSite(path, db_mode)
    add = ("300", "0.5", "0", "0", "4", "255")
    for user, contact in (("alice", A), ("alice", B), ("bob", A)):
        assert site.usrloc.mi_ul_add("location", user, contact, *add).code == 200
    site.usrloc.mi_ul_flush()
    assert site.stored() == [A, A, B]
    assert site.usrloc.mi_ul_rm_contact("location", "alice", A).code == 200
    assert site.usrloc.mi_ul_rm("location", "bob").code == 200
    site.usrloc.mi_ul_flush()
    assert site.stored() == [B]
    site.close()


def test_ul_dump_shows_states_and_deletions(back: DatabaseSite) -> None:
    back.register([f"<{A}>", f"<{B}>"])
    back.usrloc.expire()
    back.register([f"<{A}>;expires=0", "<sip:c@192.0.2.10>"])
    back.register([f"<{B}>"])
    nodes = back.usrloc.mi_ul_dump().nodes[0].children[0].children
    shown = {}
    for node in nodes:
        values = {child.name: child.value for child in node.children}
        shown[node.value] = (values["Expires"] == "deleted", values["State"])
    assert shown == {
        B.encode(): (False, "CS_DIRTY"), b"sip:c@192.0.2.10": (False, "CS_NEW"), A.encode(): (True, "CS_SYNC"),
    }  # fmt: skip


# --- a database that is away ----------


def test_write_through_keeps_what_it_cannot_write_and_writes_it_later(through: DatabaseSite) -> None:
    through.register([f"<{A}>"])
    with through.outage():
        assert through.register([f"<{B}>"]).status == 200
        assert through.register([f"<{A}>;expires=0"]).status == 200
        assert through.uris() == [B.encode()]
        assert through.states() == {A: "deleted", B: "CS_DIRTY"}
        through.usrloc.expire()
        assert through.states() == {A: "deleted", B: "CS_DIRTY"}
    through.usrloc.expire()
    assert (through.stored(), through.states()) == ([B], {B: "CS_SYNC"})
    assert through.agrees()


def test_the_next_registration_writes_what_an_aor_still_has_to_write(through: DatabaseSite) -> None:
    with through.outage():
        through.register([f"<{A}>"])
    through.register([f"<{B}>"])
    assert through.stored() == [A, B]


def test_a_busy_database_is_left_alone_for_a_while(
    through: DatabaseSite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ms, tries = [1000], []
    monkeypatch.setattr(backed, "now_ms", lambda: ms[0])
    replace = through.database.replace

    def busy(*args: object) -> None:
        tries.append(args)
        raise DatabaseBusy("locked")

    monkeypatch.setattr(through.database, "replace", busy)
    with caplog.at_level(logging.WARNING, "openserd"):
        for number in range(5):
            assert through.register([f"<sip:{number}@192.0.2.10>"], to=f"sip:user{number}@h").status == 200
        assert len(tries) == 1
        monkeypatch.setattr(through.database, "replace", replace)
        ms[0] += 1001
        through.register([f"<{A}>"])
    assert through.stored() == [A]
    assert [record.message.partition(":")[2][:30] for record in caplog.records] == [
        " changes wait until the databa", " the database takes changes ag",
    ]  # fmt: skip
    through.usrloc.expire()
    assert len(through.rows()) == 6


def test_what_had_to_wait_is_written_soon_after_the_database_is_back(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    with outage(back.database):
        back.usrloc.expire()
        back.usrloc.catch_up()
        assert back.states() == {A: "CS_DIRTY"}
    back.backed.breaker.words[0] = 1
    back.usrloc.catch_up()
    assert back.stored() == [A]
    back.register([f"<{B}>"])
    back.usrloc.catch_up()
    assert back.stored() == [A]


class LateServer:
    """Gets the next statement of a database, does not answer, and executes it when asked to."""

    def __init__(self, site: DatabaseSite, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 1000
        self.replace = site.database.replace
        self.sent: list[tuple[str, dict[str, Value], Sequence[str]]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        monkeypatch.setattr(backed, "now_ms", lambda: self.ms)
        monkeypatch.setattr(site.database, "replace", self.receive)

    def receive(self, *statement: Any) -> None:
        if self.sent:
            self.replace(*statement)
            return
        self.sent.append(statement)
        self.meanwhile()
        raise DatabaseUnavailable("no answer within 2 s")

    def execute(self) -> None:
        self.replace(*self.sent[0])


def test_a_write_that_is_executed_behind_a_later_one_is_undone_once_the_database_has_settled(
    through: DatabaseSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = LateServer(through, monkeypatch)
    through.register([f"<{A}>"])
    late.ms += 2000
    through.register([f"<{A}>;expires=0"])
    assert (through.stored(), through.states()) == ([], {A: "deleted"})
    late.execute()
    assert through.stored() == [A]
    late.ms += 1000 * SETTLE_SECONDS
    through.usrloc.expire()
    assert (through.stored(), through.states()) == ([], {})


def test_a_write_given_up_after_another_process_has_deleted_the_contact_is_undone(
    through: DatabaseSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = LateServer(through, monkeypatch)
    late.meanwhile = lambda: through.location.delete(T, b"alice", NOW)
    put(through.backed, made(A.encode()))
    assert through.states() == {A: "deleted"}
    late.execute()
    late.ms += 2000
    through.register([f"<{B}>"])
    late.ms += 1000 * SETTLE_SECONDS
    through.usrloc.expire()
    assert (through.stored(), through.states()) == ([B], {B: "CS_SYNC"})


def test_a_row_that_is_added_once_more_by_a_late_write_does_not_stay(
    through: DatabaseSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = LateServer(through, monkeypatch)
    through.register([f"<{A}>"])
    late.ms += 2000
    through.usrloc.expire()
    _, row, _ = late.sent[0]
    through.database.insert("location", row)
    assert through.stored() == [A, A]
    late.ms += 1000 * SETTLE_SECONDS
    through.usrloc.expire()
    assert (through.stored(), through.states()) == ([A], {A: "CS_SYNC"})


def test_what_is_written_in_doubt_is_written_again_and_then_no_more(
    through: DatabaseSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = LateServer(through, monkeypatch)
    through.register([f"<{A}>"])
    late.ms += 2000
    through.register([f"<{B}>"], to="sip:bob@h")
    assert through.states(b"bob") == {B: "CS_DIRTY"}
    late.ms += 1000 * SETTLE_SECONDS
    through.usrloc.expire()
    assert (through.states(), through.states(b"bob")) == ({A: "CS_SYNC"}, {B: "CS_SYNC"})
    run(through.path, "DELETE FROM location")
    through.usrloc.expire()
    assert through.rows() == []


def test_changes_that_are_lost_at_the_end_are_counted(back: DatabaseSite, caplog: pytest.LogCaptureFixture) -> None:
    back.register([f"<{A}>", f"<{B}>"])
    with back.outage():
        back.usrloc.on_exit()
    assert "2 changes are lost" in caplog.text


@pytest.mark.parametrize("last", ["mi_ul_flush", "on_exit"])
def test_who_insists_does_not_wait_until_the_database_may_be_tried_again(back: DatabaseSite, last: str) -> None:
    back.register([f"<{A}>"])
    far = 2**60
    back.backed.breaker.words[0] = back.database.breaker.words[0] = far
    back.usrloc.expire()
    assert back.rows() == []
    getattr(back.usrloc, last)()
    assert back.stored() == [A]


@pytest.mark.parametrize("db_mode", [1, 2])
def test_a_full_disk_is_waited_out(path: Path, db_mode: int) -> None:
    site = DatabaseSite(path, db_mode)
    site.register([f"<{A}>"])
    site.usrloc.expire()
    n_pages = site.database.raw_query("PRAGMA page_count")[0][0]
    site.database.raw_query(f"PRAGMA max_page_count={n_pages}")
    for number in range(100):
        assert site.register([f"<sip:{number}@192.0.2.10>"], to=f"sip:user{number}@h").status == 200
    site.usrloc.expire()
    assert len(site.rows()) < 101
    site.database.raw_query("PRAGMA max_page_count=100000")
    site.backed.insist()
    site.usrloc.expire()
    assert len(site.rows()) == 101
    assert site.agrees()
    site.close()


# --- what the database refuses ----------


def refuse(path: Path, contact: str) -> None:
    """The table does not take this contact any more."""
    run(path, f"CREATE TRIGGER no BEFORE INSERT ON location WHEN NEW.contact = '{contact}'"
              " BEGIN SELECT RAISE(ABORT, 'no'); END")  # fmt: skip


@pytest.mark.parametrize("db_mode", [1, 2])
def test_a_refused_contact_stays_in_memory_and_does_not_hold_up_others(path: Path, db_mode: int) -> None:
    site = DatabaseSite(path, db_mode)
    refuse(path, A)
    assert site.register([f"<{A}>", f"<{B}>"]).status == 200
    site.usrloc.expire()
    assert (site.stored(), site.states()) == ([B], {A: "CS_DIRTY", B: "CS_SYNC"})
    run(path, "DROP TRIGGER no")
    site.usrloc.expire()
    assert site.stored() == [B]
    assert site.usrloc.mi_ul_flush().code == 200
    assert (site.stored(), site.states()) == ([A, B], {A: "CS_SYNC", B: "CS_SYNC"})
    site.close()


def test_a_refused_contact_is_tried_again_when_it_is_refreshed(through: DatabaseSite) -> None:
    refuse(through.path, A)
    through.register([f"<{A}>"])
    assert through.rows() == []
    run(through.path, "DROP TRIGGER no")
    through.register([f"<{A}>"])
    assert through.stored() == [A]


# --- several writers, and writers that die ----------


def test_a_writer_that_dies_between_row_and_record_leaves_no_second_row(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    (work,) = back.backed.works(NOW, with_refused=False, mark=True)
    assert back.backed.tell_database([work]) == set()
    assert (back.stored(), back.states()) == ([A], {A: "CS_DIRTY"})
    back.usrloc.expire()
    assert (back.stored(), back.states()) == ([A], {A: "CS_SYNC"})


def test_a_contact_that_goes_while_it_is_written_is_deleted_later(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    (work,) = back.backed.works(NOW, with_refused=False, mark=True)
    back.register([f"<{A}>;expires=0"])
    assert back.backed.write_batch([work])
    assert (back.stored(), list(back.location.records())) == ([], [])


def test_a_contact_that_changes_while_it_is_written_is_written_again(back: DatabaseSite) -> None:
    back.register([f"<{A}>"])
    (work,) = back.backed.works(NOW, with_refused=False, mark=True)
    back.register([f"<{A}>"], cseq=9)
    assert back.backed.write_batch([work])
    assert ([row["cseq"] for row in back.rows()], back.states()) == ([9], {A: "CS_SYNC"})


def test_a_late_older_write_does_not_have_the_last_word(through: DatabaseSite) -> None:
    through.register([f"<{A}>"], cseq=1)
    old = through.location.get(T, b"alice")
    through.register([f"<{A}>"], cseq=2)
    through.backed.write_through(T, b"alice", old)
    assert ([row["cseq"] for row in through.rows()], through.states()) == ([2], {A: "CS_SYNC"})


def test_a_late_deletion_does_not_have_the_last_word(through: DatabaseSite) -> None:
    through.register([f"<{A}>"])
    gone = [one.deleted() for one in through.location.get(T, b"alice")]
    through.backed.write_through(T, b"alice", gone)
    assert (through.stored(), through.states()) == ([A], {A: "CS_SYNC"})


def test_a_late_write_of_a_contact_that_is_gone_is_undone(through: DatabaseSite) -> None:
    through.register([f"<{A}>"])
    old = through.location.get(T, b"alice")
    through.register([f"<{A}>;expires=0"])
    through.backed.write_through(T, b"alice", old)
    assert (through.rows(), list(through.location.records())) == ([], [])


def test_who_is_overtaken_again_and_again_leaves_it_to_the_timer(
    through: DatabaseSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    through.register([f"<{A}>"], cseq=1)
    confirm = Backed.confirm
    cseqs = iter(range(2, 100))

    def overtaken(self: Backed, work: Work, refused: Collection[int]) -> list[Binding]:
        change = made(A.encode(), cseq=next(cseqs))
        self.change(T, b"alice", NOW, lambda valid, now: [change])
        return confirm(self, work, refused)

    with monkeypatch.context() as patched:
        patched.setattr(Backed, "confirm", overtaken)
        through.backed.write_through(T, b"alice", through.location.get(T, b"alice"))
    assert through.states() == {A: "CS_DIRTY"}
    through.usrloc.expire()
    assert (through.states(), through.rows()[0]["cseq"]) == ({A: "CS_SYNC"}, 4)


def test_states_survive_in_shared_memory(back: DatabaseSite) -> None:
    back.register([f"<{A}>", f"<{B}>"])
    back.usrloc.expire()
    back.register([f"<{A}>;expires=0", "<sip:c@192.0.2.10>"])
    back.register([f"<{B}>"])
    assert back.states() == {B: "CS_DIRTY", "sip:c@192.0.2.10": "CS_NEW", A: "deleted"}


# --- hostile data ----------

HOSTILE = [b"'", b'"; drop table location; --', b"' or '1'='1", b"\\'", b"x'||'y", b"\xff\xfe", b"%s?:1$1"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("db_mode", [1, 2, 3])
def test_statements_in_fields_are_stored_as_data(path: Path, db_mode: int, text: bytes) -> None:
    site = DatabaseSite(path, db_mode, use_domain=1)
    binding = made(b"sip:" + text, call_id=text, user_agent=text, received=text, path=text, socket=text)
    bystander = made(b"sip:bystander@h")
    for aor, one in ((text + b"@" + text, binding), (b"bob@h", bystander)):
        site.location.update(T, aor, NOW, lambda valid, now, one=one: [one])  # type: ignore[misc]
    assert site.location.flush(NOW)
    again = DatabaseSite(path, 3, use_domain=1)
    (found,) = again.location.get(T, text + b"@" + text)
    assert found.is_same(binding)
    site.location.delete(T, text + b"@" + text, NOW)
    assert site.location.flush(NOW)
    assert site.stored() == ["sip:bystander@h"]
    site.close()
    again.close()
