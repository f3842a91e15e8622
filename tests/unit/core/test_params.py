"""Global parameters: their table, their checks, the script's and the command line's say."""

import pytest

from openserd.core.params import NAMES, SETTINGS, Endpoint, GlobalParams
from openserd.errors import ConfigError

OPENSER = frozenset(
    """
advertised_address advertised_port alias auto_aliases avp_aliases check_via children chroot debug disable_core_dump
disable_dns_blacklist disable_dns_failover disable_tcp disable_tls dns dns_retr_no dns_retr_time dns_servers_no
dns_try_ipv6 dns_use_search_list fork gid group listen log_facility log_name log_stderror maxbuffer mcast_loopback
mcast_ttl mem_log memlog mhomed mpath open_files_limit port reply_to_via rev_dns server_header server_signature
sip_warning sock_group sock_mode sock_user tcp_accept_aliases tcp_children tcp_connect_timeout tcp_connection_lifetime
tcp_max_connections tcp_poll_method tcp_send_timeout tls_ca_list tls_certificate tls_ciphers_list
tls_client_domain_avp tls_handshake_timeout tls_log tls_method tls_port_no tls_private_key
tls_require_client_certificate tls_send_timeout tls_verify_client tls_verify_server tlslog tos uid unix_sock
unix_sock_children unix_tx_timeout user user_agent_header wdir workdir
""".split()
)


def test_every_parameter_of_openser_is_known_by_all_its_names() -> None:
    assert OPENSER.difference(NAMES) == frozenset()


def test_every_parameter_has_a_meaning_and_a_default_of_its_own() -> None:
    one, other = GlobalParams(), GlobalParams()
    one.set("listen", ["10.0.0.1"])
    assert other.listen == []
    for name, declared in SETTINGS.items():
        assert declared.meaning, name
        assert getattr(other, name) == declared.default


@pytest.mark.parametrize(
    ("name", "written", "kept"),
    [
        ("children", [4], 4),
        ("fork", [0], False),
        ("check_via", [1], True),
        ("user", [1000], "1000"),
        ("uid", ["sip"], "sip"),
        ("tos", ["IPTOS_THROUGHPUT"], 8),
        ("tos", [16], 16),
        ("log_facility", ["LOG_LOCAL3"], "LOG_LOCAL3"),
        ("socket_mode", ["shared"], "shared"),
        ("mem_log", [1], 1),
        ("debug", [-3], -3),
        ("advertised_port", [5070], 5070),
    ],
)
def test_values_are_read_by_type(name: str, written: list[int | str], kept: object) -> None:
    params = GlobalParams()
    params.set(name, written)
    assert getattr(params, NAMES[name].name) == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("10.0.0.1", Endpoint(None, "10.0.0.1", 0)),
        ("udp:10.0.0.1:5070", Endpoint("udp", "10.0.0.1", 5070)),
        ("TLS:example.com", Endpoint("tls", "example.com", 0)),
        ("[2001:db8::1]:5060", Endpoint(None, "2001:db8::1", 5060)),
        ("2001:db8::1", Endpoint(None, "2001:db8::1", 0)),
        ("::1", Endpoint(None, "::1", 0)),
        ("any:eth0", Endpoint(None, "eth0", 0)),
        ("*", Endpoint(None, "*", 0)),
        ("tcp:[::1]:5061", Endpoint("tcp", "::1", 5061)),
    ],
)
def test_addresses(written: str, kept: Endpoint) -> None:
    params = GlobalParams()
    params.set("listen", [written])
    params.set("listen", ["last"])
    assert params.listen == [kept, Endpoint(None, "last", 0)]


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("children", ["four"], "children takes a number"),
        ("children", [-1], "children cannot be -1"),
        ("fork", ["maybe"], "fork takes yes or no"),
        ("mpath", [3], "mpath takes text"),
        ("port", [70000], "port: 70000 is no port"),
        ("log_facility", ["LOG_X"], "log_facility: LOG_X is no syslog facility"),
        ("listen", ["a:b:c"], "listen: a:b:c is no address"),
        ("debug", [1, 2], "debug takes one value"),
        ("socket_mode", ["both"], "socket_mode cannot be both"),
        ("nothing", [1], "there is no parameter nothing"),
    ],
)
def test_wrong_values_are_refused(name: str, written: list[int | str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        GlobalParams().set(name, written)
    assert raised.value.message == message


def test_the_command_line_wins_whichever_comes_first() -> None:
    params = GlobalParams()
    params.override("children", 2)
    params.set("children", [16])
    params.set("port", [5070])
    params.override("port", 5080)
    assert (params.children, params.port) == (2, 5080)


def test_addresses_of_script_and_command_line_add_up() -> None:
    params = GlobalParams()
    params.override("listen", "10.0.0.1")
    params.set("listen", ["10.0.0.2"])
    assert [one.host for one in params.listen] == ["10.0.0.1", "10.0.0.2"]


def test_parameters_that_do_nothing_yet_say_so_when_set_to_something_that_matters() -> None:
    params = GlobalParams()
    assert params.set("disable_tcp", [1]) is None
    assert params.set("dns", [0]) is None
    assert params.set("disable_tcp", [0]) == "disable_tcp is not in effect yet"
    assert params.set("dns", [1]) == "dns is not in effect yet"
    assert params.dns is True


def test_it_is_known_what_was_set() -> None:
    params = GlobalParams()
    params.set("wdir", ["/tmp"])
    assert params.given == {"workdir"}


def test_no_workers_are_one_worker() -> None:
    params = GlobalParams()
    params.set("children", [0])
    assert params.children == 1


@pytest.mark.parametrize(("written", "kept"), [(-1, -1), (-7, -1), (0, 0), (255, 255)])
def test_mcast_ttl_is_a_number_of_hops(written: int, kept: int) -> None:
    params = GlobalParams()
    assert params.set("mcast_ttl", [written]) is None
    assert params.mcast_ttl == kept


@pytest.mark.parametrize(("name", "written"), [("mcast_ttl", 256), ("sock_mode", 0o1000), ("sock_mode", -1)])
def test_what_is_no_ttl_and_no_mode_is_refused(name: str, written: int) -> None:
    with pytest.raises(ConfigError, match=name):
        GlobalParams().set(name, [written])
