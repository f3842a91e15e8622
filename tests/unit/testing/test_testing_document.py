"""The examples of docs/testing-your-script.md are tests, and they pass."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from openserd.testing import Script

PAGE = Path(__file__).resolve().parents[3] / "docs/testing-your-script.md"
BLOCKS = [block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "def test_" in block]
CONFIGURATION = """
alias=example.com
loadmodule "sl.so" loadmodule "tm.so" loadmodule "rr.so" loadmodule "usrloc.so" loadmodule "registrar.so"
loadmodule "xlog.so"
route {
    if (loose_route()) { t_relay(); exit; }
    if (method=="REGISTER") { save("location"); exit; }
    if (method=="INVITE") record_route();
    if (uri=~"^sip:0900") {
        $avp(s:class) = "premium";
        xlog("L_ERR", "$fU tried $rU");
        sl_send_reply("403", "Not for guests");
        exit;
    }
    if (uri==myself && !lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    t_relay();
}
"""


def examples() -> list[Callable[..., None]]:
    """The test functions of the page."""
    found: dict[str, object] = {"Script": Script}
    for block in BLOCKS:
        exec(compile(block, PAGE.name, "exec"), found)
    return [thing for name, thing in found.items() if name.startswith("test_") and callable(thing)]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.__name__)
def test_example_of_the_page_passes(
    example: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "openser.cfg").write_text(CONFIGURATION)
    monkeypatch.chdir(tmp_path)
    if inspect.signature(example).parameters:
        with Script.load("openser.cfg") as script:
            example(script)
    else:
        example()
