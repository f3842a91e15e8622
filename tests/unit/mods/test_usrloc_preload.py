"""From the tables into memory, at the start and later."""

import logging
from pathlib import Path

import pytest

from openserd.errors import ConfigError, ResourceError
from openserd.mods.usrloc import preload
from tests.unit.mods.location_kit import NOW, RecordingListener, Site
from tests.unit.mods.location_tables import DatabaseSite, T, make_tables, outage, run

A = "sip:a@192.0.2.10"
B = "sip:b@192.0.2.10"
MODES = pytest.mark.parametrize("db_mode", [1, 2])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_tables(tmp_path)


def fill(path: Path, *contacts: str, **params: int | str) -> None:
    """A server registers contacts and ends."""
    site = DatabaseSite(path, 1, **params)
    site.register([f"<{contact}>" for contact in contacts])
    site.close()


@pytest.mark.conformance("REG-24")
@MODES
def test_registrations_are_there_after_a_restart(path: Path, db_mode: int) -> None:
    first = DatabaseSite(path, db_mode, use_path=1, path_mode=0)
    first.register(
        [f'<{A}>;q=0.7;expires=300;received="sip:203.0.113.1:1024";methods="INVITE,BYE"', f"<{B}>;expires=300"],
        headers=["Path: <sip:p1;lr>", "User-Agent: Phone"],
    )
    first.usrloc.on_exit()
    second = DatabaseSite(path, db_mode)
    before, after = first.location.get(T, b"alice"), second.location.get(T, b"alice")
    assert len(after) == 2
    assert all(one.is_same(other) for one, other in zip(before, after, strict=True))
    assert second.states() == {A: "CS_SYNC", B: "CS_SYNC"}
    assert (second.statistic("location-contacts"), second.statistic("location-users")) == (2, 1)
    first.close()
    second.close()


@MODES
def test_expired_rows_are_left_out_and_removed(path: Path, db_mode: int) -> None:
    fill(path, A, f"{B}")
    run(path, "UPDATE location SET expires = '2001-01-01 00:00:00' WHERE contact = ?", A)
    site = DatabaseSite(path, db_mode)
    assert (site.uris(), site.stored()) == ([B.encode()], [B])
    site.close()


def test_permanent_rows_are_kept(path: Path) -> None:
    first = DatabaseSite(path, 1)
    first.usrloc.mi_ul_add("location", "alice", A, "0", "1", "0", "0", "0", "255")
    second = DatabaseSite(path, 1)
    second.clock.now += 10**9
    second.usrloc.expire()
    assert (second.uris(), second.stored()) == ([A.encode()], [A])
    first.close()
    second.close()


def test_every_table_of_the_script_is_read(tmp_path: Path) -> None:
    path = make_tables(tmp_path, "aliases")
    fill(path, A)
    run(path, "INSERT INTO aliases SELECT * FROM location")
    site = Site(usrloc={"db_mode": 1, "db_url": f"sqlite://{path}"})
    site.registrar.fix_domain("aliases")
    site.usrloc.on_ready(site.core)
    assert [one.uri for one in site.location.get(b"aliases", b"alice")] == [A.encode()]
    site.close()


def test_without_use_domain_the_domain_of_rows_does_not_count(path: Path) -> None:
    fill(path, A, use_domain=1)
    plain, full = DatabaseSite(path, 1), DatabaseSite(path, 1, use_domain=1)
    assert (plain.uris(b"alice"), full.uris(b"alice@example.com")) == ([A.encode()], [A.encode()])
    plain.close()
    full.close()


@pytest.mark.parametrize("db_mode", [1, 2, 3])
def test_columns_can_have_other_names(tmp_path: Path, db_mode: int) -> None:
    path = make_tables(tmp_path)
    names = ("username", "domain", "contact", "received", "path", "expires", "q", "callid", "cseq", "flags", "cflags",
             "user_agent", "socket", "methods")  # fmt: skip
    params = {}
    for name in names:
        run(path, f"ALTER TABLE location RENAME COLUMN {name} TO x_{name}")
        params["user_column" if name == "username" else f"{name}_column"] = f"x_{name}"
    site = DatabaseSite(path, db_mode, use_domain=1, **params)
    site.register([f"<{A}>"])
    site.location.flush(NOW)
    assert [row["x_contact"] for row in site.rows()] == [A]
    again = DatabaseSite(path, db_mode, use_domain=1, **params)
    assert again.uris(b"alice@example.com") == [A.encode()]
    site.register([f"<{A}>;expires=0"])
    site.location.flush(NOW)
    assert site.rows() == []
    site.close()
    again.close()


def test_fetch_rows_is_how_many_rows_are_read_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path, *(f"sip:{number}@h" for number in range(7)))
    sizes: list[int] = []
    add = preload.Loader.add
    monkeypatch.setattr(
        preload.Loader, "add", lambda self, name, rows, now: sizes.append(len(rows)) or add(self, name, rows, now)
    )
    site = DatabaseSite(path, 1, fetch_rows=3)
    assert sizes == [3, 3, 1]
    assert len(site.uris()) == 7
    site.close()


def test_the_order_of_an_aor_is_kept(path: Path) -> None:
    first = DatabaseSite(path, 1)
    for contact, q in (("sip:low@h", "0.1"), ("sip:none@h", ""), ("sip:high@h", "0.9")):
        first.register([f"<{contact}>{';q=' + q if q else ''}"])
        first.clock.now += 1
    run(path, "UPDATE location SET id = 10 - id")
    by_q, newest = DatabaseSite(path, 1), DatabaseSite(path, 1, desc_time_order=1)
    assert by_q.uris() == first.uris() == [b"sip:high@h", b"sip:low@h", b"sip:none@h"]
    assert newest.uris() == [b"sip:high@h", b"sip:none@h", b"sip:low@h"]
    for site in (first, by_q, newest):
        site.close()


def test_progress_is_in_the_log(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    fill(path, *(f"sip:{number}@h" for number in range(7)))
    run(path, "UPDATE location SET callid = '' WHERE contact = 'sip:3@h'")
    monkeypatch.setattr(preload, "PROGRESS_ROWS", 3)
    with caplog.at_level(logging.INFO, "openserd"):
        DatabaseSite(path, 1, fetch_rows=3).close()
    assert [record.message.split(" in ")[0] for record in caplog.records] == [
        "usrloc: 3 rows of table location read",
        "usrloc: left out of table location: a row without contact, Call-ID or expires",
        "usrloc: 6 rows of table location read",
        "usrloc: table location read",
        "usrloc: 1 rows of table location are no contacts",
    ]
    assert "6 contacts of 7 rows" in caplog.text


# --- what keeps a server from starting, and what does not ----------


@pytest.mark.parametrize("db_mode", [1, 2, 3])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE version SET table_version = 1003", "DELETE FROM version"],
)
def test_another_version_of_the_table_is_refused(path: Path, db_mode: int, statement: str) -> None:
    run(path, statement)
    with pytest.raises(ConfigError, match="1004 is needed"):
        DatabaseSite(path, db_mode)


@MODES
def test_a_table_without_a_column_is_refused(path: Path, db_mode: int) -> None:
    run(path, "ALTER TABLE location DROP COLUMN methods")
    with pytest.raises(ConfigError, match="methods"):
        DatabaseSite(path, db_mode)


def test_a_table_name_that_no_database_has_is_refused(path: Path) -> None:
    site = Site(usrloc={"db_mode": 1, "db_url": f"sqlite://{path}"})
    site.registrar.fix_domain("my table")
    with pytest.raises(ConfigError, match="'my table' cannot be a table"):
        site.usrloc.on_ready(site.core)
    site.close()


def test_column_names_are_checked() -> None:
    with pytest.raises(ConfigError):
        Site(usrloc={"contact_column": "a; drop table"})


def test_more_contacts_than_memory_has_room_for_are_said_so(path: Path) -> None:
    site = DatabaseSite(path, 1)
    for number in range(4):
        site.register([f"<{A}>"], to=f"sip:user{number}@h")
    site.close()
    with pytest.raises(ResourceError, match="-m"):
        DatabaseSite(path, 1, max_aors=3)


# --- later ----------


@MODES
def test_a_database_that_is_down_at_the_start_is_read_when_it_is_there(path: Path, db_mode: int) -> None:
    fill(path, A)
    site = DatabaseSite(path, db_mode, is_away=True)
    with site.outage():
        assert site.uris() == []
        site.usrloc.catch_up()
        site.usrloc.expire()
        assert site.uris() == []
        assert site.register([f"<{B}>"]).status == 200
    site.usrloc.catch_up()
    assert set(site.uris()) == {A.encode(), B.encode()}
    assert site.stored() == [A, B]
    assert set(site.states().values()) == {"CS_SYNC"}
    assert (site.statistic("location-contacts"), site.statistic("location-users")) == (2, 1)
    site.close()


@MODES
def test_memory_wins_over_rows_that_are_read_later(path: Path, db_mode: int) -> None:
    fill(path, A, B)
    site = DatabaseSite(path, db_mode, is_away=True)
    with site.outage():
        site.register([f"<{A}>;q=0.3"], cseq=50)
    site.usrloc.catch_up()
    assert [(row["contact"], row["cseq"], row["q"]) for row in site.rows()] == [(A, 50, 0.3), (B, 1, -1.0)]
    assert site.states() == {A: "CS_SYNC", B: "CS_SYNC"}
    site.close()


def test_reading_is_repeated_from_the_start_when_the_database_went_in_the_middle(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, *(f"sip:{number}@h" for number in range(7)))
    site = DatabaseSite(path, 2, is_away=True, fetch_rows=3)
    add = preload.Loader.add

    def broken(self: preload.Loader, name: bytes, rows: list[tuple[object, ...]], now: int) -> int:
        if len(site.uris()) >= 3:
            with outage(site.database):
                site.database.tables()
        return add(self, name, rows, now)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(preload.Loader, "add", broken)
        site.usrloc.catch_up()
    assert len(site.uris()) == 3
    site.usrloc.catch_up()
    assert len(site.uris()) == len(site.rows()) == 7
    assert site.statistic("location-contacts") == 7
    site.close()


def test_what_cannot_be_read_later_is_said_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = DatabaseSite(path, 1, is_away=True)
    run(path, "ALTER TABLE location DROP COLUMN methods")
    for _ in range(3):
        site.usrloc.catch_up()
    assert caplog.text.count("locations cannot be read") == 1
    site.close()


def test_the_end_of_a_server_that_never_saw_its_database_writes_all_the_same(path: Path) -> None:
    fill(path, A)
    site = DatabaseSite(path, 2, is_away=True)
    site.register([f"<{A}>"], cseq=70)
    site.register([f"<{B}>"])
    site.usrloc.on_exit()
    assert [(row["contact"], row["cseq"]) for row in site.rows()] == [(A, 70), (B, 71)]
    site.close()


def test_a_row_is_not_added_twice(path: Path) -> None:
    fill(path, A)
    run(path, "INSERT INTO location (username, contact, callid, expires, cseq, last_modified)"
              " SELECT username, contact, callid, expires, cseq, last_modified FROM location")  # fmt: skip
    site = DatabaseSite(path, 1)
    assert site.uris() == [A.encode()]
    site.register([f"<{A}>;expires=0"], cseq=9)
    assert site.rows() == []
    site.close()


def test_a_listener_that_is_no_more_does_not_matter(path: Path) -> None:
    fill(path, A)
    other = RecordingListener("192.0.2.99")
    site = DatabaseSite(path, 1)
    site.core.listening.all[:] = [other]
    msg = site.request()
    assert site.registrar.lookup(msg, T) == 1
    assert msg.force_listener is None
    site.close()
