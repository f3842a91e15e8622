"""Each broken script in tests/data/scripts/broken is told exactly what its .expected file says.

`python -m tests.unit.script.test_broken_scripts` writes those files anew; read the difference before keeping it.
"""

from pathlib import Path

import pytest

from openserd.script import STRICT, ConfigErrors, Surroundings
from tests.unit.script.script_modules import script

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted((ROOT / "tests/data/scripts/broken").glob("*.cfg"))


def errors_of(path: Path) -> str:
    """What is said about a script."""
    around = Surroundings(lambda name: (path.parent / name).read_text(), {"ON_THE_COMMAND_LINE": "1"})
    with pytest.raises(ConfigErrors) as raised:
        script(path.read_text(), level=STRICT, file=path.name, around=around)
    return f"{raised.value}\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_broken_script_is_told_what_is_wrong(path: Path) -> None:
    assert errors_of(path) == path.with_suffix(".expected").read_text()


def test_there_are_sixty_broken_scripts() -> None:
    assert len(SCRIPTS) >= 60


def test_the_printed_hello_world_lacks_exactly_one_module() -> None:
    path = ROOT / "tests/data/scripts/broken/guide-hello-world.cfg"
    text = errors_of(path)
    assert text.count(path.name) == 1
    assert text.startswith("guide-hello-world.cfg:56:14: unknown function lookup\n")
    assert 'module registrar exports lookup: add loadmodule "registrar.so"' in text


if __name__ == "__main__":
    for one in SCRIPTS:
        one.with_suffix(".expected").write_text(errors_of(one))
