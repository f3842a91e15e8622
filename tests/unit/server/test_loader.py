"""How `loadmodule` finds modules, and what it says when it does not."""

import sys

import pytest

from openserd.core.module import Module
from openserd.errors import ConfigError
from openserd.server.loader import ModuleLoader

FIRST_MODULES = {"maxfwd", "mi_fifo", "registrar", "rr", "sl", "textops", "tm", "usrloc", "xlog"}


@pytest.fixture
def loader() -> ModuleLoader:
    return ModuleLoader()


def test_all_modules_are_known_by_name_and_in_order(loader: ModuleLoader) -> None:
    names = loader.names()
    assert set(names) >= FIRST_MODULES
    assert names == sorted(names)


@pytest.mark.parametrize("name", ModuleLoader().names())
def test_every_module_loads_as_one_class_of_its_own_name(loader: ModuleLoader, name: str) -> None:
    module = loader.load(name)
    assert issubclass(module, Module)
    assert module.name == name


def test_an_unknown_module_is_refused_with_all_names_and_the_nearest(loader: ModuleLoader) -> None:
    with pytest.raises(ConfigError) as refused:
        loader.load("registar")
    assert refused.value.message == "there is no module 'registar'"
    assert all(name in refused.value.expected for name in FIRST_MODULES)
    assert refused.value.hint == "did you mean registrar?"


def test_a_name_like_no_other_gets_no_hint(loader: ModuleLoader) -> None:
    with pytest.raises(ConfigError) as refused:
        loader.load("zzzzzz")
    assert refused.value.hint == ""


@pytest.mark.parametrize("name", ["os", "../tm", "tm.store", ""])
def test_only_files_and_folders_of_mods_are_modules(loader: ModuleLoader, name: str) -> None:
    with pytest.raises(ConfigError, match="there is no module"):
        loader.load(name)


def test_a_missing_library_is_named_with_the_command_that_brings_it(
    loader: ModuleLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "openserd.mods.xlog", raising=False)

    def fail(name: str) -> object:
        raise ModuleNotFoundError("No module named 'ldap3'", name="ldap3")

    monkeypatch.setattr("openserd.server.loader.importlib.import_module", fail)
    with pytest.raises(ConfigError) as refused:
        loader.load("xlog")
    assert refused.value.message == "module 'xlog' needs the Python package 'ldap3'"
    assert "pip install ldap3" in refused.value.hint


@pytest.mark.parametrize(
    ("function", "modules"), [("lookup", ["registrar"]), ("t_relay", ["tm"]), ("no_such_function", [])]
)
def test_who_exports_a_function(loader: ModuleLoader, function: str, modules: list[str]) -> None:
    assert loader.exporters(function) == modules
