"""The command line over the script: what is given there wins, what is not leaves the parameter alone."""

import pytest

from openserd.core.params import Endpoint, GlobalParams
from openserd.errors import ConfigError
from openserd.server.options import Options

DEFAULTS = GlobalParams()


def overridden(**given: object) -> GlobalParams:
    params = GlobalParams()
    Options(**given).override(params)  # type: ignore[arg-type]
    return params


def test_defaults_are_openser_s() -> None:
    options = Options()
    assert (options.config, options.megabytes) == ("/usr/local/etc/openser/openser.cfg", 32)


def test_an_empty_command_line_changes_no_parameter() -> None:
    params = overridden()
    assert params.overridden == set() and params.given == set()


@pytest.mark.parametrize(
    ("option", "value", "parameter", "expected"),
    [
        ("children", 3, "children", 3),
        ("receive_buffer", 100_000, "maxbuffer", 100_000),
        ("user", "nobody", "user", "nobody"),
        ("group", "nogroup", "group", "nogroup"),
        ("chroot", "/srv", "chroot", "/srv"),
        ("workdir", "/tmp", "workdir", "/tmp"),
        ("check_via", True, "check_via", True),
        ("log_stderror", True, "log_stderror", True),
        ("debug", 4, "debug", 4),
        ("unix_sock", "/run/control", "unix_sock", "/run/control"),
        ("no_fork", 1, "fork", False),
    ],
)
def test_an_option_wins_over_the_script_whichever_comes_first(
    option: str, value: object, parameter: str, expected: object
) -> None:
    params = overridden(**{option: value})
    assert getattr(params, parameter) == expected != getattr(DEFAULTS, parameter)
    before = getattr(DEFAULTS, parameter)
    params.set(parameter, [int(before) if isinstance(before, bool) else before])
    assert getattr(params, parameter) == expected


def test_listen_adds_addresses_to_those_of_the_script() -> None:
    params = overridden(listen=["udp:127.0.0.1:5070", "[::1]"])
    params.set("listen", ["10.0.0.1"])
    assert params.listen == [
        Endpoint("udp", "127.0.0.1", 5070),
        Endpoint(None, "::1", 0),
        Endpoint(None, "10.0.0.1", 0),
    ]


def test_a_bad_address_on_the_command_line_is_refused() -> None:
    with pytest.raises(ConfigError, match="no address"):
        overridden(listen=["127.0.0.1:99999"])


@pytest.mark.parametrize(("no_fork", "foreground", "forks"), [(0, False, True), (1, True, False), (2, True, True)])
def test_one_d_means_one_process_two_mean_the_foreground(no_fork: int, foreground: bool, forks: bool) -> None:
    assert Options(no_fork=no_fork).foreground is foreground
    assert overridden(no_fork=no_fork).fork is forks
