"""The shared store: one step for each change, statistics over processes, expiry, what happens without memory."""

from collections.abc import Iterator

import pytest

from openserd.errors import ResourceError
from openserd.mods.usrloc.binding import Binding
from openserd.mods.usrloc.location import ANY_EVENT, DELETE, EXPIRE, INSERT, UPDATE, Location
from openserd.shm.table import SLOT_WORDS
from tests.unit.mods.location_kit import NOW, Site

T = b"location"


def made(uri: bytes = b"sip:a@h", **changes: int | bytes) -> Binding:
    fields: dict[str, int | bytes] = {
        "expires": NOW + 60, "cseq": 5, "flags": 0, "cflags": 0, "methods": 1, "last_modified": NOW, "q": -1,
        "uri": uri, "call_id": b"c", "user_agent": b"ua", "socket": b"", "received": b"", "path": b"",
    }  # fmt: skip
    return Binding(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site(n_processes=3)
    yield site
    site.close()


def put(location: Location, aor: bytes, *bindings: Binding, table: bytes = T, now: int = NOW) -> None:
    location.update(table, aor, now, lambda valid, now: [*valid, *bindings])


def counts(site: Site) -> tuple[int, int, int]:
    return tuple(site.statistic(f"location-{name}") for name in ("users", "contacts", "expires"))  # type: ignore[return-value]


def test_bindings_are_found_by_table_and_aor(site: Site) -> None:
    location = site.location
    location.register_domain(b"aliases")
    put(location, b"alice", made(b"sip:a@one"), made(b"sip:a@two"))
    put(location, b"alice", made(b"sip:a@alias"), table=b"aliases")
    assert [binding.uri for binding in location.get(T, b"alice")] == [b"sip:a@one", b"sip:a@two"]
    assert [binding.uri for binding in location.get(b"aliases", b"alice")] == [b"sip:a@alias"]
    assert location.get(T, b"bob") == []


def test_get_shows_expired_bindings_until_they_are_removed(site: Site) -> None:
    put(site.location, b"alice", made(expires=NOW + 1))
    assert len(site.location.get(T, b"alice")) == 1
    site.location.expire(NOW + 1)
    assert site.location.get(T, b"alice") == []


def test_a_change_that_raises_leaves_everything_and_frees_the_lock(site: Site) -> None:
    put(site.location, b"alice", made())

    def broken(valid: list[Binding], now: int) -> list[Binding]:
        valid.clear()
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            site.location.update(T, b"alice", NOW, broken)
    assert len(site.location.get(T, b"alice")) == 1
    assert counts(site) == (1, 1, 0)


def test_a_change_is_given_valid_bindings_only_and_drops_the_expired(site: Site) -> None:
    put(site.location, b"alice", made(b"old", expires=NOW + 1), made(b"new", expires=NOW + 9))
    seen: list[list[bytes]] = []
    site.location.update(T, b"alice", NOW + 5, lambda valid, now: seen.append([one.uri for one in valid]) or valid)
    assert seen == [[b"new"]]
    assert [one.uri for one in site.location.get(T, b"alice")] == [b"new"]
    assert counts(site) == (1, 1, 1)


def test_permanent_bindings_never_expire(site: Site) -> None:
    put(site.location, b"alice", made(b"always", expires=0), made(b"soon", expires=NOW + 1))
    site.location.expire(2**32 - 1)
    assert [one.uri for one in site.location.get(T, b"alice")] == [b"always"]


def test_expiry_removes_exactly_what_is_due(site: Site) -> None:
    for number in range(50):
        put(site.location, b"user%d" % number, made(expires=NOW + 1 + number))
    site.location.expire(NOW + 25)
    assert sorted(int(aor[4:]) for _, aor, _ in site.location.records()) == list(range(25, 50))
    assert counts(site) == (25, 25, 25)


def test_statistics_are_right_whichever_process_counts(site: Site) -> None:
    memory = site.core.memory
    site.core.statistics.share(memory.counters)
    memory.seal()
    memory.enter(1)
    put(site.location, b"alice", made(b"one"), made(b"two"))
    put(site.location, b"bob", made())
    memory.enter(2)
    site.location.delete(T, b"alice", NOW)
    assert counts(site) == (1, 1, 0)
    memory.enter(0)
    site.location.expire(NOW + 60)
    assert counts(site) == (0, 0, 1)
    assert site.location.n_users() == 0


def test_only_the_count_of_expired_contacts_can_be_reset(site: Site) -> None:
    put(site.location, b"alice", made(expires=NOW + 1), made(b"stays"))
    site.location.expire(NOW + 1)
    for statistic in site.core.statistics.select("usrloc:"):
        statistic.reset()
    assert counts(site) == (1, 1, 0)


def test_callbacks_are_told_of_each_kind_of_change(site: Site) -> None:
    events: list[tuple[int, bytes, bytes, bytes]] = []
    site.location.on_change(ANY_EVENT, lambda event, table, aor, one: events.append((event, table, aor, one.uri)))
    put(site.location, b"alice", made(b"a", expires=NOW + 1), made(b"b"))
    site.location.update(T, b"alice", NOW, lambda valid, now: [valid[0], made(b"b", cseq=6)])
    site.location.expire(NOW + 1)
    site.location.delete(T, b"alice", NOW + 1)
    assert [(event, uri) for event, _, _, uri in events] == [
        (INSERT, b"a"), (INSERT, b"b"), (UPDATE, b"b"), (EXPIRE, b"a"), (DELETE, b"b"),
    ]  # fmt: skip
    assert {(table, aor) for _, table, aor, _ in events} == {(T, b"alice")}


def test_a_callback_hears_of_what_it_asked_for_and_may_use_the_store(site: Site) -> None:
    seen: list[int] = []
    site.location.on_change(DELETE, lambda *_: seen.append(len(site.location.get(T, b"alice"))))
    put(site.location, b"alice", made())
    assert seen == []
    site.location.delete(T, b"alice", NOW)
    assert seen == [0]


def test_contacts_can_be_listed_by_their_branch_flags(site: Site) -> None:
    put(site.location, b"alice", made(b"nat", cflags=0b110), made(b"plain", cflags=0b010))
    put(site.location, b"bob", made(b"nat2", cflags=0b100))
    assert {one.uri for one in site.location.contacts(0b100)} == {b"nat", b"nat2"}
    assert len(list(site.location.contacts())) == 3


def test_registering_a_table_twice_keeps_its_counts(site: Site) -> None:
    put(site.location, b"alice", made())
    site.location.register_domain(T)
    assert counts(site) == (1, 1, 0)


def test_without_a_slot_the_new_aor_is_refused_and_all_others_stay() -> None:
    site = Site(usrloc={"max_aors": 3})
    for aor in (b"a", b"b", b"c"):
        put(site.location, aor, made())
    with pytest.raises(ResourceError):
        put(site.location, b"d", made())
    assert sorted(aor for _, aor, _ in site.location.records()) == [b"a", b"b", b"c"]
    assert counts(site) == (3, 3, 0)
    put(site.location, b"a", made(b"more"))
    site.location.delete(T, b"b", NOW)
    put(site.location, b"d", made())
    site.close()


def test_without_memory_nothing_is_lost_and_expiry_makes_room_again() -> None:
    site = Site(megabytes=1, usrloc={"max_aors": 10_000})
    site.core.memory.seal()
    n_stored = 0
    with pytest.raises(ResourceError):
        while True:
            put(site.location, b"user%d" % n_stored, made(user_agent=b"x" * 150))
            n_stored += 1
    assert n_stored > 1000
    assert counts(site)[:2] == (n_stored, n_stored)
    assert sum(1 for _ in site.location.records()) == n_stored
    site.location.expire(NOW + 60)
    assert counts(site) == (0, 0, n_stored)
    put(site.location, b"again", made(), now=NOW + 60)
    site.close()


def test_an_aor_with_one_phone_takes_at_most_350_bytes() -> None:
    site = Site(megabytes=4, usrloc={"max_aors": 8192, "use_domain": 1})
    memory = site.core.memory
    memory.seal()
    n_aors = 4000
    before = memory.blobs.used_bytes
    for number in range(n_aors):
        contact = f"<sip:user{number}@192.168.100.{number % 250}:5060;transport=udp;line=a1b2c3>"
        site.register(
            [contact],
            to=f"sip:user{number}@sip.example.com",
            call_id=f"3c26700c1adb-{number:06}@192.168.100.10",
            headers=["User-Agent: Example phone 1.0 (build 2008)", "Allow: INVITE, ACK, BYE"],
        )
        site.listener.sent.clear()
    per_aor = (memory.blobs.used_bytes - before) / n_aors
    per_aor += SLOT_WORDS * 4 + site.location.n_buckets * 4 / site.location.table.n_slots
    assert site.statistic("location-contacts") == n_aors
    assert per_aor <= 350
    site.close()
