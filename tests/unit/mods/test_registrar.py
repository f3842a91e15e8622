"""save(): what a REGISTER does and how it is answered (RFC 3261 section 10.3), parameter by parameter."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from openserd.core.module import FAILURE, REQUEST, STOP
from openserd.errors import ConfigError
from openserd.mods.registrar import Registrar
from openserd.parser import names
from openserd.parser.message import Message
from tests.unit.mods.location_kit import PHONE, RecordingListener, Site, register, statistic_of

A = "<sip:alice@192.0.2.10>"
B = "<sip:alice@192.0.2.11>"

DEFAULTS = {
    "default_expires": 3600, "default_q": -1, "append_branches": 1, "case_sensitive": 0, "tcp_persistent_flag": -1,
    "realm_prefix": "", "min_expires": 60, "max_expires": 0, "received_param": "received", "received_avp": "",
    "aor_avp": "", "max_contacts": 0, "retry_after": 0, "sock_flag": -1, "sock_hdr_name": "", "method_filtering": 0,
    "use_path": 0, "path_mode": 2, "path_use_received": 0,
}  # fmt: skip


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def contact(reply: Message) -> bytes:
    """The Contact of a reply, b"" without one."""
    return reply.header(names.CONTACT) or b""


def text(reply: Message, name: bytes) -> list[bytes]:
    return [reply.value(index) for index in reply.indexes_named(name)]


def why(reply: Message) -> tuple[int, bytes, bytes]:
    """Code, reason phrase and the reason that registrar gives."""
    return reply.status, reply.reason, b"".join(text(reply, b"P-Registrar-Error"))


# --- the surface ----------


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_parameters_have_the_defaults_of_openser(name: str, default: object) -> None:
    assert getattr(Registrar(), name) == default


@pytest.mark.parametrize(
    ("name", "value"),
    [("sock_flag", 32), ("tcp_persistent_flag", -2), ("path_mode", 3), ("max_contacts", -1), ("retry_after", -1),
     ("min_expires", -1), ("max_expires", -1), ("default_expires", -1)],
)  # fmt: skip
def test_values_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError):
        Registrar(**{name: value})


@pytest.mark.parametrize("name", ["received_avp", "aor_avp"])
@pytest.mark.parametrize("spec", ["$var(x)", "i:42", "$avp()", "$avp(i:x)"])
def test_what_is_no_avp_is_refused_at_start(name: str, spec: str) -> None:
    with pytest.raises(ConfigError):
        Site(registrar={name: spec})


@pytest.mark.parametrize(
    ("name", "arities", "routes"),
    [("save", [1, 2], REQUEST), ("lookup", [1], REQUEST | FAILURE), ("registered", [1], REQUEST | FAILURE),
     ("add_sock_hdr", [1], REQUEST)],
)  # fmt: skip
def test_functions_take_what_openser_takes_where_it_takes_it(name: str, arities: list[int], routes: int) -> None:
    declared = Registrar.functions[name]
    assert (list(declared.arities), declared.routes) == (arities, routes)


def test_flags_of_save_are_read_as_numbers_up_to_3() -> None:
    flags = Registrar.functions["save"].args[1]
    context = SimpleNamespace(module=Registrar())
    assert [flags.compile(written, context) for written in ("0x01", "2", "0x03")] == [1, 2, 3]  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        flags.compile("4", context)  # type: ignore[arg-type]


def test_a_table_named_before_the_start_is_made_known_then() -> None:
    site = Site()
    late = Registrar()
    assert late.fix_domain(" early ") == b"early"
    assert b"early" not in site.location.domains
    late.on_init(site.core)
    assert b"early" in site.location.domains
    with pytest.raises(ConfigError):
        late.fix_domain(" ")
    site.close()


@pytest.mark.parametrize("missing", ["usrloc", "sl"])
def test_registrar_needs_usrloc_and_sl(site: Site, missing: str) -> None:
    del site.core.published[missing]
    with pytest.raises(ConfigError, match=missing):
        Registrar().on_init(site.core)


# --- binding, refreshing, removing ----------


def test_a_contact_is_bound_with_everything_that_is_known_of_it(site: Site) -> None:
    msg = site.message(register([A + ";q=0.5;expires=300"], cseq=7, headers=["User-Agent: Phone", "Allow: INVITE"]))
    msg.branch_flags = 6
    site.save(msg)
    (binding,) = site.location.get(site.table, b"alice")
    assert (binding.uri, binding.q, binding.expires) == (b"sip:alice@192.0.2.10", 500, site.clock.now + 300)
    assert (binding.cseq, binding.call_id, binding.user_agent) == (7, msg.call_id, b"Phone")
    assert (binding.cflags, binding.flags, binding.methods) == (6, 0, 1)
    assert (binding.socket, binding.received, binding.path) == (b"udp:192.0.2.1:5060", b"", b"")
    assert binding.last_modified == site.clock.now


def test_a_missing_or_overlong_user_agent_is_stored_as_not_available(site: Site) -> None:
    for headers in ([], ["User-Agent: " + "x" * 255]):
        site.register([A], headers=headers)
        assert site.location.get(site.table, b"alice")[0].user_agent == b"n/a"


@pytest.mark.conformance("REG-21")
def test_the_reply_lists_all_bindings_with_their_remaining_time(site: Site) -> None:
    site.register([A + ";q=0.5;expires=300"], call_id="one")
    site.clock.now += 100
    reply = site.register([B + ';expires=400;received="sip:203.0.113.9:1024"'], call_id="two")
    assert contact(reply) == (
        b'<sip:alice@192.0.2.10>;q=0.5;expires=200, <sip:alice@192.0.2.11>;expires=400;received="sip:203.0.113.9:1024"'
    )
    assert (reply.status, reply.reason, reply.to_tag) == (200, b"OK", b"kit")


@pytest.mark.conformance("REG-03", "MSG-03")
def test_several_contacts_on_one_line_or_many_are_all_bound(site: Site) -> None:
    site.register([A + ", " + B, "<sip:c@192.0.2.12>"])
    assert len(site.uris()) == 3


def test_a_contact_whose_uri_is_none_is_refused_and_nothing_is_bound(site: Site) -> None:
    assert site.register([A, "<sip:alice@127.0.0.1:1:2>"]).status == 400
    assert site.uris() == []


def test_a_contact_named_twice_counts_as_the_last_one_says(site: Site) -> None:
    reply = site.register([A + ";expires=100", A + ";expires=200"])
    assert contact(reply) == b"<sip:alice@192.0.2.10>;expires=200"


@pytest.mark.conformance("MSG-27")
def test_contacts_without_brackets_lose_their_parameters_to_the_header_field(site: Site) -> None:
    site.register(["sip:alice@192.0.2.10;expires=77"])
    assert contact(site.register()) == b"<sip:alice@192.0.2.10>;expires=77"


@pytest.mark.conformance("REG-19")
def test_a_refresh_gives_a_binding_its_new_data_and_another_call_id_too(site: Site) -> None:
    site.register([A + ";expires=100"], call_id="one", cseq=50)
    site.clock.now += 60
    site.register([A + ";expires=500"], call_id="two", cseq=1, headers=["User-Agent: Restarted"])
    (binding,) = site.location.get(site.table, b"alice")
    assert (binding.expires, binding.call_id, binding.cseq) == (site.clock.now + 500, b"two", 1)
    assert binding.user_agent == b"Restarted"


@pytest.mark.conformance("REG-05")
def test_expires_0_removes_one_contact(site: Site) -> None:
    site.register([A, B])
    assert contact(site.register([A + ";expires=0"])).startswith(b"<sip:alice@192.0.2.11>")
    reply = site.register([B], headers=["Expires: 0"])
    assert (reply.status, contact(reply)) == (200, b"")
    assert site.location.get(site.table, b"alice") == []


def test_removing_a_contact_that_is_not_bound_is_no_error(site: Site) -> None:
    assert site.register([A + ";expires=0"]).status == 200


@pytest.mark.conformance("REG-08")
def test_a_register_without_contact_asks_and_changes_nothing(site: Site) -> None:
    assert contact(site.register()) == b""
    site.register([A + ";expires=300"])
    site.clock.now += 50
    assert contact(site.register()) == b"<sip:alice@192.0.2.10>;expires=250"
    assert contact(site.register()) == b"<sip:alice@192.0.2.10>;expires=250"


def test_expired_bindings_are_not_listed(site: Site) -> None:
    site.register([A + ";expires=60"])
    site.clock.now += 60
    assert contact(site.register()) == b""


def test_a_permanent_binding_is_listed_with_the_most_seconds_there_are(site: Site) -> None:
    site.usrloc.mi_ul_add("location", "alice", "sip:a@h", "0", "1", "0", "0", "0", "1")
    assert contact(site.register()) == b"<sip:a@h>;q=1;expires=4294967295"


def test_quotes_in_a_received_uri_cannot_break_the_reply(site: Site) -> None:
    reply = site.register([A + ';received="sip:a\\"b"'])
    assert contact(reply).endswith(b';received="sip:a\\"b"')


# --- * ----------


@pytest.mark.conformance("REG-06")
def test_star_with_expires_0_removes_all(site: Site) -> None:
    site.register([A], call_id="one")
    site.register([B], call_id="two")
    reply = site.register(["*"], call_id="three", headers=["Expires: 0"])
    assert (reply.status, contact(reply)) == (200, b"")
    assert site.location.get(site.table, b"alice") == []


@pytest.mark.conformance("REG-07")
@pytest.mark.parametrize(
    ("contacts", "headers", "reason"),
    [
        (["*"], [], b"* used in contact and expires is not zero"),
        (["*"], ["Expires: 10"], b"* used in contact and expires is not zero"),
        (["*"], ["Expires: never"], b"* used in contact and expires is not zero"),
        (["*", B], ["Expires: 0"], b"* used in contact and more than 1 contact"),
        ([B, "*"], ["Expires: 0"], b"* used in contact and more than 1 contact"),
        (["*, " + B], ["Expires: 0"], b"Contact parse error"),
    ],
)
def test_star_has_to_be_alone_with_expires_0(
    site: Site, contacts: list[str], headers: list[str], reason: bytes
) -> None:
    site.register([A])
    assert why(site.register(contacts, headers=headers)) == (400, b"Bad Request", reason)
    assert site.uris() == [b"sip:alice@192.0.2.10"]


def test_an_old_star_removes_nothing_that_was_bound_after_it(site: Site) -> None:
    site.register([A], cseq=9)
    reply = site.register(["*"], cseq=8, headers=["Expires: 0"])
    assert why(reply)[::2] == (400, b"Invalid CSeq number")
    assert site.uris() == [b"sip:alice@192.0.2.10"]


# --- CSeq ----------


def test_a_retransmission_is_answered_200_and_changes_nothing(site: Site) -> None:
    first = site.register([A + ";expires=300"], cseq=5)
    site.clock.now += 10
    second = site.register([A + ";expires=300"], cseq=5)
    assert (first.status, second.status) == (200, 200)
    assert contact(second) == b"<sip:alice@192.0.2.10>;expires=290"


@pytest.mark.conformance("REG-16")
@pytest.mark.parametrize("later", [0, 100])
def test_an_older_cseq_of_the_same_call_id_is_refused_and_the_binding_stays(site: Site, later: int) -> None:
    site.register([A + ";expires=300"], cseq=5)
    site.clock.now += later
    reply = site.register([A + ";expires=0"], cseq=4)
    assert why(reply) == (400, b"Bad Request", b"Invalid CSeq number")
    assert contact(reply) == b"<sip:alice@192.0.2.10>;expires=%d" % (300 - later)
    assert site.uris() == [b"sip:alice@192.0.2.10"]


def test_an_expired_binding_does_not_make_a_lower_cseq_out_of_order(site: Site) -> None:
    site.register([A + ";expires=60"], cseq=5)
    site.clock.now += 60
    assert site.register([A], cseq=1).status == 200


@pytest.mark.conformance("REG-20")
def test_one_contact_out_of_order_keeps_all_from_changing(site: Site) -> None:
    site.register([B], cseq=5)
    assert site.register([A, B], cseq=4).status == 400
    assert site.uris() == [b"sip:alice@192.0.2.11"]


# --- what is malformed ----------


@pytest.mark.parametrize(
    ("contacts", "headers", "reason"),
    [
        ([A, "<sip:broken"], [], b"Contact parse error"),
        ([""], [], b"Contact parse error"),
        ([A, B + ";q=2"], [], b"Invalid q param in contact"),
        ([A + ";q=x"], [], b"Invalid q param in contact"),
        ([A + ';methods=" "'], [], b"Message parse error"),
        ([A, "<sip:" + "x" * 252 + ">"], [], b"Contact/received too long"),
        ([A + ';received="sip:' + "x" * 252 + '"'], [], b"Contact/received too long"),
        ([A], ["Expires:"], b"Expires parse error"),
    ],
)
def test_a_malformed_register_is_refused_and_binds_nothing(
    site: Site, contacts: list[str], headers: list[str], reason: bytes
) -> None:
    assert why(site.register(contacts, headers=headers)) == (400, b"Bad Request", reason)
    assert site.location.get(site.table, b"alice") == []


def test_an_overlong_call_id_is_refused(site: Site) -> None:
    assert why(site.register([A], call_id="c" * 256))[::2] == (400, b"Callid too long")


@pytest.mark.parametrize(
    ("to", "code", "phrase", "reason"),
    [
        ("sip:example.com", 400, b"Bad Request", b"No username in To URI"),
        ("mailto:a@example.com", 400, b"Bad Request", b"No username in To URI"),
        ("sip:%zz@example.com", 400, b"Bad Request", b"Error while unescaping username"),
        ("sip:a@b@c", 400, b"Bad Request", b"Error while parsing AOR"),
        ("sip:" + "u" * 65 + "@h", 500, b"Server Internal Error", b"Address Of Record too long"),
    ],
)
def test_a_to_that_is_no_aor_is_refused(site: Site, to: str, code: int, phrase: bytes, reason: bytes) -> None:
    assert why(site.register([A], to=to)) == (code, phrase, reason)


# --- expires ----------


def granted(site: Site, contact_params: str = "", headers: tuple[str, ...] = ()) -> int:
    """The seconds that a contact is bound for."""
    reply = site.register([A + contact_params], headers=headers)
    return int(contact(reply).rpartition(b"expires=")[2])


@pytest.mark.conformance("REG-02")
def test_expires_comes_from_the_contact_the_header_field_or_the_default() -> None:
    site = Site(registrar={"default_expires": 500})
    assert granted(site, ";expires=100", ("Expires: 200",)) == 100
    assert granted(site, "", ("Expires: 200",)) == 200
    assert granted(site) == 500
    site.close()


def test_an_unreadable_expires_parameter_counts_as_3600_and_a_date_as_the_default() -> None:
    site = Site(registrar={"default_expires": 500})
    assert granted(site, ";expires=soon") == 3600
    assert granted(site, "", ("Expires: Thu, 01 Dec 2040 16:00:00 GMT",)) == 500
    assert granted(site, ";expires=") == 500
    site.close()


@pytest.mark.conformance("REG-17")
def test_min_expires_lengthens_and_max_expires_shortens() -> None:
    site = Site(registrar={"min_expires": 100, "max_expires": 200})
    assert [granted(site, f";expires={seconds}") for seconds in (1, 150, 999)] == [100, 150, 200]
    site.close()


def test_min_expires_0_lets_a_binding_be_as_short_as_it_likes() -> None:
    site = Site(registrar={"min_expires": 0})
    assert granted(site, ";expires=1") == 1
    site.close()


def test_the_longest_expires_ends_with_the_clock_of_32_bits(site: Site) -> None:
    assert granted(site, ";expires=99999999999") == 2**32 - 1 - site.clock.now


# --- q, methods, flags ----------


@pytest.mark.parametrize(("default_q", "shown"), [(-1, b""), (250, b";q=0.25"), (5000, b";q=1"), (-7, b";q=0")])
def test_default_q_is_for_contacts_without_q(default_q: int, shown: bytes) -> None:
    site = Site(registrar={"default_q": default_q})
    assert contact(site.register([A])) == b"<sip:alice@192.0.2.10>%b;expires=3600" % shown
    assert contact(site.register([A + ";q=0.8"])) == b"<sip:alice@192.0.2.10>;q=0.8;expires=3600"
    site.close()


@pytest.mark.parametrize(
    ("params", "headers", "mask"),
    [
        (';methods="INVITE, BYE"', ["Allow: OPTIONS"], 1 | 8),
        ("", ["Allow: OPTIONS, INVITE"], 32 | 1),
        ("", [], 2**32 - 1),
    ],
)
def test_methods_come_from_the_contact_from_allow_or_are_all(
    site: Site, params: str, headers: list[str], mask: int
) -> None:
    site.register([A + params], headers=headers)
    assert site.location.get(site.table, b"alice")[0].methods == mask


def test_flag_1_of_save_marks_bindings_that_stay_in_memory(site: Site) -> None:
    site.register([A], flags=1)
    assert site.location.get(site.table, b"alice")[0].flags == 1


def test_flag_2_of_save_sends_no_reply(site: Site) -> None:
    assert site.registrar.save(site.message(register([A])), site.table, 2) == 1
    assert site.registrar.save(site.message(register(["<broken"])), site.table, 2) == STOP
    assert site.listener.sent == []
    assert site.uris() == [b"sip:alice@192.0.2.10"]


def test_a_reply_that_cannot_be_sent_makes_save_false(site: Site) -> None:
    site.listener.works = False
    site.register([A], result=-1)
    assert len(site.uris()) == 1


# --- received and socket ----------


def test_received_avp_is_stored_and_shown_under_the_name_of_received_param() -> None:
    site = Site(registrar={"received_avp": "$avp(i:42)", "received_param": "rcv"})
    msg = site.message(register([A, B + ";received=sip:9.9.9.9"]))
    msg.avps.add(42, b"sip:203.0.113.9:1024")
    reply = site.save(msg)
    first, second = (binding.received for binding in site.location.get(site.table, b"alice"))
    assert (first, second) == (b"sip:203.0.113.9:1024", b"sip:9.9.9.9")
    assert b';rcv="sip:203.0.113.9:1024"' in contact(reply)
    site.close()


def test_received_avp_follows_the_aliases_of_the_script() -> None:
    site = Site()
    site.core.params.avp_aliases = "rcv=i:42"
    registrar = Registrar(received_avp="$avp(rcv)")
    registrar.on_init(site.core)
    assert registrar.saver.reader.received_avp == (42, 0)
    site.close()


def test_a_received_avp_that_holds_a_number_is_ignored() -> None:
    site = Site(registrar={"received_avp": "$avp(i:42)"})
    msg = site.message(register([A]))
    msg.avps.add(42, 5)
    assert b"received" not in contact(site.save(msg))
    site.close()


@pytest.mark.parametrize(
    ("value", "flags", "socket"),
    [
        ("udp:192.0.2.2:5080", 8, b"udp:192.0.2.2:5080"),
        ("192.0.2.2:5080", 8, b"udp:192.0.2.2:5080"),
        ("udp:192.0.2.2:5080", 0, b"udp:192.0.2.1:5060"),
        ("udp:198.51.100.1:5060", 8, b"udp:192.0.2.1:5060"),
        ("???", 8, b"udp:192.0.2.1:5060"),
    ],
)
def test_sock_flag_lets_a_header_field_name_the_socket(value: str, flags: int, socket: bytes) -> None:
    listeners = [RecordingListener(), RecordingListener("192.0.2.2", 5080)]
    site = Site(registrar={"sock_flag": 3, "sock_hdr_name": "Sock-Info"}, listeners=listeners)
    msg = site.message(register([A], headers=[f"sock-info: {value}"]))
    msg.flags = flags
    site.save(msg)
    assert site.location.get(site.table, b"alice")[0].socket == socket
    site.close()


@pytest.mark.parametrize("settings", [{"sock_flag": 3}, {"sock_hdr_name": "Sock-Info"}])
def test_sock_flag_and_sock_hdr_name_count_only_together(settings: dict[str, int | str]) -> None:
    listeners = [RecordingListener(), RecordingListener("192.0.2.2", 5080)]
    site = Site(registrar=settings, listeners=listeners)
    msg = site.message(register([A], headers=["Sock-Info: udp:192.0.2.2:5080"]))
    msg.flags = 0xFFFFFFFF
    site.save(msg)
    assert site.location.get(site.table, b"alice")[0].socket == b"udp:192.0.2.1:5060"
    site.close()


def test_add_sock_hdr_writes_the_listener_into_the_request(site: Site) -> None:
    msg = site.message(register([A]))
    assert site.registrar.add_sock_hdr(msg, b"Sock-Info") == 1
    assert [data for _, _, data in msg.lumps] == [b"Sock-Info: udp:192.0.2.1:5060\r\n"]


# --- limits and failures ----------


@pytest.mark.conformance("REG-23")
def test_max_contacts_refuses_one_too_many_and_keeps_the_old_ones() -> None:
    site = Site(registrar={"max_contacts": 2, "retry_after": 30})
    site.register([A, B])
    reply = site.register(["<sip:third@192.0.2.12>"])
    assert why(reply) == (503, b"Service Unavailable", b"Too many registered contacts")
    assert text(reply, b"Retry-After") == [b"30"]
    assert contact(reply).count(b"<sip:") == 2
    assert len(site.uris()) == 2
    site.close()


def test_max_contacts_counts_what_is_there_after_the_register() -> None:
    site = Site(registrar={"max_contacts": 2})
    site.register([A + ";expires=60", B])
    assert site.register([A + ";expires=0", "<sip:third@192.0.2.12>"]).status == 200
    assert site.register([B]).status == 200
    site.clock.now += 3600
    assert site.register([A, "<sip:fourth@192.0.2.12>"]).status == 200
    site.close()


def test_max_contacts_never_refuses_to_remove_or_refresh() -> None:
    site = Site()
    site.register([A, B, "<sip:third@192.0.2.12>"])
    site.registrar.saver.max_contacts = 1
    assert site.register([A]).status == 200
    assert site.register([A + ";expires=0"]).status == 200
    assert site.register(["<sip:fourth@192.0.2.12>"]).status == 503
    site.close()


def test_too_many_contacts_in_the_first_register_bind_none() -> None:
    site = Site(registrar={"max_contacts": 1})
    assert site.register([A, B]).status == 503
    assert site.location.get(site.table, b"alice") == []
    site.close()


def test_without_room_the_reply_is_500_and_everything_stored_lives_on() -> None:
    site = Site(registrar={"retry_after": 9}, usrloc={"max_aors": 1})
    site.register([A])
    reply = site.register([B], to="sip:bob@example.com")
    assert why(reply) == (500, b"Server Internal Error", b"usrloc_contact_insert failed")
    assert text(reply, b"Retry-After") == [b"9"]
    assert site.uris() == [b"sip:alice@192.0.2.10"]
    assert site.register([A, B]).status == 200
    site.close()


def test_retry_after_is_for_5xx_replies_only() -> None:
    site = Site(registrar={"retry_after": 30})
    assert text(site.register(["<broken"]), b"Retry-After") == []
    site.close()


def test_retry_after_0_leaves_the_header_field_out() -> None:
    site = Site(registrar={"max_contacts": 1})
    assert text(site.register([A, B]), b"Retry-After") == []
    site.close()


# --- connections ----------


@pytest.mark.parametrize(
    ("proto", "flags", "contact_line", "kept"),
    [
        ("tcp", 4, "<sip:a@192.0.2.10;transport=tcp>;expires=300", [(PHONE, 310)]),
        ("tls", 4, "<sips:a@192.0.2.10>;expires=300", [(PHONE, 310)]),
        ("tcp", 4, "<sip:a@192.0.2.10;transport=TCP>;expires=0", [(PHONE, 10)]),
        ("tcp", 4, "<sip:a@192.0.2.10>;expires=300", []),
        ("tcp", 0, "<sip:a@192.0.2.10;transport=tcp>;expires=300", []),
        ("udp", 4, "<sip:a@192.0.2.10;transport=tcp>;expires=300", []),
    ],
)
def test_tcp_persistent_flag_keeps_a_connection_as_long_as_its_contacts(
    proto: str, flags: int, contact_line: str, kept: list[tuple[tuple[str, int], int]]
) -> None:
    site = Site(registrar={"tcp_persistent_flag": 2}, listeners=[RecordingListener(proto=proto)])
    msg = site.message(register([contact_line]))
    msg.flags = flags
    site.save(msg)
    assert site.listener.kept == kept
    site.close()


def test_without_tcp_persistent_flag_no_connection_is_kept() -> None:
    site = Site(listeners=[RecordingListener(proto="tcp")])
    msg = site.message(register(["<sip:a@192.0.2.10;transport=tcp>"]))
    msg.flags = 0xFFFFFFFF
    site.save(msg)
    assert site.listener.kept == []
    site.close()


# --- statistics ----------


def test_accepted_and_rejected_registrations_are_counted(site: Site) -> None:
    for contacts in ([A], [], ["<broken"]):
        site.register(contacts)
    assert statistic_of(site, site.registrar.accepted_regs) == 2
    assert statistic_of(site, site.registrar.rejected_regs) == 1
    assert site.registrar.accepted_regs.resettable and site.registrar.rejected_regs.resettable


@pytest.mark.parametrize(
    ("statistic", "parameter"),
    [("max_expires", "max_expires"), ("max_contacts", "max_contacts"), ("default_expire", "default_expires")],
)
def test_three_statistics_show_parameters(statistic: str, parameter: str) -> None:
    module = Registrar(**{parameter: 77})
    shown = getattr(module, Registrar.stats[statistic].attribute)
    assert (shown.group, shown.name, shown.value(), shown.resettable) == ("registrar", statistic, 77, False)
