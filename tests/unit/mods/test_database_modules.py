"""The driver modules as a script meets them: loaded, with a library that is missing, named by a URL."""

import sys

import pytest

from openserd.core.context import Core
from openserd.core.database import DriverModule, open_database
from openserd.errors import ConfigError
from openserd.server.loader import ModuleLoader

URLS = {
    "mysql": "mysql://openser:openserrw@localhost/openser",
    "postgres": "postgres://openser:openserrw@localhost/openser",
    "unixodbc": "unixodbc://openser:openserrw@localhost/my_dsn",
    "dbtext": "dbtext:///tmp/openserdb",
    "flatstore": "flatstore:/var/log/acc",
    "sqlite": "sqlite:////var/lib/openser/openser.db",
}


@pytest.mark.parametrize("name", URLS)
def test_a_url_finds_the_module_of_its_scheme_before_and_behind_the_one_that_asks(name: str) -> None:
    module = ModuleLoader().load(name)()
    core = Core()
    core.modules = {name: module}
    assert open_database(core, URLS[name]).driver is module
    module.on_init(core)
    assert core.require(f"db:{name}") is module


@pytest.mark.parametrize(("name", "package", "extra"), [("postgres", "psycopg", "postgres"),
                                                        ("unixodbc", "pyodbc", "odbc")])  # fmt: skip
def test_a_missing_library_is_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    for loaded in [one for one in sys.modules if one.partition(".")[0] == package or f"mods.{name}" in one]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=package) as caught:
        ModuleLoader().load(name)
    assert f"openserd[{extra}]" in caught.value.hint
    assert ("libodbc2" in caught.value.hint) == (package == "pyodbc")


@pytest.mark.parametrize("value", [0, 1])
def test_use_escape_common_is_taken_and_said_to_change_nothing(caplog: pytest.LogCaptureFixture, value: int) -> None:
    module = ModuleLoader().load("unixodbc")()
    module.set_param("use_escape_common", value)
    with caplog.at_level("INFO", "openserd"):
        module.on_init(Core())
    assert ("use_escape_common changes nothing" in caplog.text) == bool(value)


@pytest.mark.parametrize("name", ["mysql", "unixodbc"])
def test_parameters_of_a_driver_steer_retries_and_pings(name: str) -> None:
    module = ModuleLoader().load(name)()
    assert isinstance(module, DriverModule)
    assert (module.retries, module.idle_seconds) == (True, 300)
    module.set_param("auto_reconnect", 0)
    module.set_param("ping_interval", 0)
    assert (module.retries, module.idle_seconds) == (False, 0)
