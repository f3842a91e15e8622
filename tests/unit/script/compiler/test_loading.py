"""Parameters and modules as they stand in a script."""

import pytest

from openserd.core.params import BlacklistRule, Endpoint
from openserd.script import ConfigErrors
from tests.unit.script.script_modules import script


def test_settings_stand_with_and_without_semicolons_on_one_or_more_lines() -> None:
    params = script(
        'debug=4 fork=no; children = 0x10\nlog_facility=LOG_LOCAL0\nuser="sip";;workdir=/* here */ tmp'
    ).params
    assert (params.debug, params.fork, params.children, params.log_facility, params.user, params.workdir) == (
        4,
        False,
        16,
        "LOG_LOCAL0",
        "sip",
        "tmp",
    )


def test_listen_and_alias_take_several_values_over_several_lines() -> None:
    params = script(
        'listen=udp:10.0.0.1:5060 tcp:[::1]:5061 "eth0"\n  10.0.0.2\nlisten=eth1:5070\n'
        'alias=a.b c-d.e:5062\nport=5080 loadmodule "sl.so"'
    ).params
    assert params.listen == [
        Endpoint("udp", "10.0.0.1", 5060),
        Endpoint("tcp", "::1", 5061),
        Endpoint(None, "eth0", 0),
        Endpoint(None, "10.0.0.2", 0),
        Endpoint(None, "eth1", 5070),
    ]
    assert params.alias == [Endpoint(None, "a.b", 0), Endpoint(None, "c-d.e", 5062)]
    assert params.port == 5080


@pytest.mark.parametrize("word", ["yes", "true", "on", "enable", "1"])
def test_words_for_yes(word: str) -> None:
    assert script(f"check_via={word}").params.check_via is True


@pytest.mark.parametrize("word", ["no", "false", "off", "disable", "0"])
def test_words_for_no(word: str) -> None:
    assert script(f"auto_aliases={word}").params.auto_aliases is False


def test_modules_are_named_with_and_without_folder_and_suffix() -> None:
    made = script(
        'mpath="/usr/lib/openser/modules" loadmodule "sl.so" loadmodule "/opt/modules/rr.so"\nloadmodule \'tm\''
    )
    assert [module.name for module in made.modules] == ["sl", "rr", "tm"]


def test_a_module_is_loaded_once() -> None:
    made = script('loadmodule "sl.so"\nloadmodule "sl.so"')
    assert len(made.modules) == 1
    assert [(one.line, one.message) for one in made.warnings] == [(2, "module sl is loaded already")]


def test_modparam_takes_a_pattern_for_the_whole_name_in_any_case() -> None:
    made = script('loadmodule "rr.so" loadmodule "usrloc.so" modparam("xx|USR.*", "db_mode", 2)')
    assert made.modules[1].db_mode == 2  # type: ignore[attr-defined]
    with pytest.raises(ConfigErrors):
        script('loadmodule "usrloc.so" modparam("usr", "db_mode", 2)')


def test_modparam_takes_numbers_words_and_signs() -> None:
    for written, value in (("yes", 1), ("-1", -1), ("0x10", 16), ("010", 8)):
        made = script(f'loadmodule "usrloc.so" modparam("usrloc", "db_mode", {written})')
        assert made.modules[0].db_mode == value  # type: ignore[attr-defined]


def test_blacklists_and_tls_domains_are_kept() -> None:
    made = script(
        'dst_blacklist = gw:{ (tcp, 10.0.0.1, 5060, ""), !(any, 10.0.0.0/255.0.0.0, 0, "x") }\n'
        'tls_server_domain[10.0.0.1:5061] { tls_method=TLSv1; tls_certificate="/c" }\n'
        'tls_client_domain["name"] { tls_verify_server=no }'
    )
    assert made.params.blacklists == {
        "gw": [
            BlacklistRule(False, "tcp", "10.0.0.1", 5060, ""),
            BlacklistRule(True, None, "10.0.0.0/255.0.0.0", 0, "x"),
        ]
    }
    assert [(one.kind, one.address, one.settings) for one in made.params.tls_domains] == [
        ("server", "10.0.0.1:5061", {"tls_method": "TLSv1", "tls_certificate": "/c"}),
        ("client", "name", {"tls_verify_server": 0}),
    ]
    assert len(made.warnings) == 2


def test_avp_aliases_are_read_where_they_stand() -> None:
    with pytest.raises(ConfigErrors) as raised:
        script('debug=3\navp_aliases="email=s:email;broken"\nroute { exit; }')
    assert [(one.line, one.message) for one in raised.value.errors] == [(2, "bad AVP alias 'broken'")]


def test_port_0_is_the_default_port() -> None:
    assert script("port=0").params.port == 5060
