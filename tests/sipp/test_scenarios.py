"""Runs every folder `NN.name`: its server, its SIPp scenarios, its check.

A folder holds `openser.cfg` (when absent: Hello World), scenarios (`uac.xml`, `uas.xml`, ...) and `check.py`:

    VARIANTS = {"shared": {"socket_mode": "shared"}, ...}   what @SOCKET_MODE@ becomes, by variant
    def check(scenario: Scenario) -> None: ...              plays the scenarios and looks at the counts
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from tests.sipp.conftest import HERE, seconds
from tests.support import Server, Sipp, hello_world


@dataclass(frozen=True)
class Scenario:
    """What a `check` has at hand."""

    folder: Path
    run: Path
    server: Server
    sipp: Sipp
    variant: str
    seconds: int


def load_check(folder: Path) -> ModuleType:
    name = "sipp_check_" + "".join(char if char.isalnum() else "_" for char in folder.name)
    spec = importlib.util.spec_from_file_location(name, folder / "check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script_of(folder: Path, values: dict[str, str]) -> str:
    path = folder / "openser.cfg"
    if not path.exists():
        return hello_world(**values)  # type: ignore[arg-type]
    text = path.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name.upper()}@", value)
    return text


def find_cases() -> list[object]:
    cases: list[object] = []
    for folder in sorted(path.parent for path in HERE.glob("*/check.py")):
        variants: dict[str, dict[str, str]] = getattr(load_check(folder), "VARIANTS", {"": {}})
        for variant, values in variants.items():
            name = f"{folder.name}-{variant}" if variant else folder.name
            cases.append(pytest.param(folder, variant, values, id=name))
    return cases


@pytest.mark.parametrize(("folder", "variant", "values"), find_cases())
def test_scenario(folder: Path, variant: str, values: dict[str, str], tmp_path: Path) -> None:
    with Server(script_of(folder, values), tmp_path) as server:
        sipp = Sipp(server.address, tmp_path)
        load_check(folder).check(Scenario(folder, tmp_path, server, sipp, variant, seconds()))
