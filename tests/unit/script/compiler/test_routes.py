"""The generated code: the same each time, with the script's own places, readable."""

import traceback
from pathlib import Path

import pytest

from openserd.core.context import Core
from openserd.core.module import ANY_ROUTE, REQUEST
from openserd.core.routes import run
from openserd.script import ConfigErrors, load
from openserd.script.commands import COMMANDS
from tests.unit.script.pv_samples import Recorder, message
from tests.unit.script.script_modules import ALL_MODULES, FakeLoader, compiled, entry, marks, script

GOOD = sorted((Path(__file__).resolve().parents[4] / "tests/data/scripts/good").glob("*.cfg"))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_scripts_are_compiled_the_same_each_time(path: Path) -> None:
    text = path.read_text()
    first, second = script(text, level=2, file=path.name), script(text, level=2, file=path.name)
    assert first.dump() == second.dump()
    assert first.routes.request is not None
    assert second.routes.request is not None
    assert first.routes.request.__code__.co_code == second.routes.request.__code__.co_code  # type: ignore[attr-defined]


def test_a_traceback_names_the_line_of_the_script(tmp_path: Path) -> None:
    path = tmp_path / "openser.cfg"
    path.write_text(
        f'{ALL_MODULES}\nroute {{\n\troute(1);\n}}\n\nroute[1] {{\n\tif (method=="INVITE" &&\n\t\tcrash()) exit;\n}}\n'
    )
    made = script(path.read_text(), file=str(path))
    with pytest.raises(RuntimeError) as raised:
        run(entry(made, REQUEST), message(), REQUEST)
    frames = [frame for frame in traceback.extract_tb(raised.value.__traceback__) if frame.filename == str(path)]
    assert [(frame.lineno, frame.name, frame.line) for frame in frames] == [
        (3, "route", "route(1);"),
        (8, "route_1", "crash()) exit;"),
    ]


def test_the_dump_reads_like_the_script() -> None:
    made = compiled("""route {
        if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; };
        if (uri==myself && method==ACK) drop;
        $var(x) = $var(x) + 2 * 3;
        append_hf("X: $rU\\r\\n");
    }""")
    assert (
        made.dump()
        == """\
def route(msg):
    if not ((rc := mf_process_maxfwd_header(msg, 10)) > 0 or (not rc and stop())):
        if not sl_send_reply(msg, b'483', b'Too Many Hops'):
            return 0
        return 0
    if uri_is_myself(msg) and msg.method.upper() == b'ACK':
        msg.dropped = True
        return 0
    store(set_var_x, msg, plus(var_x(msg), 6))
    if not append_hf(msg, text(msg)):
        return 0
    return 1
"""
    )


def test_the_script_knows_its_functions_modules_and_parameters() -> None:
    made = script(
        'children=3 loadmodule "sl.so" loadmodule "rr.so" modparam("r.*", "enable_full_lr", 1)'
        ' route { sl_send_reply("200", "OK"); setflag(1); }'
    )
    assert made.functions == {"sl_send_reply", "setflag"}
    assert [module.name for module in made.modules] == ["sl", "rr"]
    assert made.modules[1].enable_full_lr == 1  # type: ignore[attr-defined]
    assert made.params.children == 3


def test_functions_of_modules_cannot_hide_the_names_of_helpers() -> None:
    text = 'route { mark("a"); $avp(s:stop) = "x"; if (give("1") && $avp(s:stop)=="x") mark("b"); setflag(1); }'
    assert marks(text) == ["a", "b"]


def test_a_script_without_route_blocks_is_a_script() -> None:
    assert script("debug=3").routes.request is None
    assert script("").dump() == "\n"


def test_whoever_has_listeners_to_make_is_asked_before_the_blocks_are_compiled() -> None:
    core = Core()
    text = "listen=10.0.0.1 route { force_send_socket(udp:10.0.0.1:5060); }"
    with pytest.raises(ConfigErrors):
        load(text, "openser.cfg", core, FakeLoader())
    made = load(
        text,
        "openser.cfg",
        core,
        FakeLoader(),
        configured=lambda modules: core.listening.add(Recorder(host="10.0.0.1")),
    )
    msg = message()
    run(entry(made, REQUEST), msg, REQUEST)
    assert msg.force_listener is core.listening.all[0]


def test_every_core_function_is_read() -> None:
    for name, command in COMMANDS.items():
        assert command.fn.routes & ANY_ROUTE, name


# -- warnings and the strict level ----------------------------------------------------------------------------------


def warnings(text: str, level: int) -> list[tuple[int, str]]:
    """Line and message of each warning."""
    return [(one.line, one.message) for one in script(text, level=level).warnings]


def test_the_strict_level_warns_of_what_is_rarely_meant() -> None:
    text = """route { if (1 || 1 && 1) exit;
        if (1 && 1 || 1) exit;
        exit; log("x");
    }
    route[5] { exit; }
    failure_route[1] { exit; }"""
    assert warnings(text, 1) == []
    assert warnings(text, 2) == [
        (1, "&& and || bind equally, from the left"),
        (3, "this statement is never reached"),
        (5, "route[5] is never called"),
        (6, "failure_route[1] is never armed"),
    ]


def test_functions_are_checked_in_all_kinds_of_route_that_reach_them_at_the_strict_level() -> None:
    text = (
        ALL_MODULES
        + """
route { t_on_failure("1"); }
failure_route[1] { route(1); }
route[1] { route(2); }
route[2] { save("location"); }
"""
    )
    assert script(text).routes.request is not None
    with pytest.raises(ConfigErrors) as raised:
        script(text, level=2)
    (error,) = raised.value.errors
    assert (error.message, error.line) == ("save cannot be used in failure_route", 5)
    assert error.hint == "failure_route[1] in line 3 calls route[1], which calls route[2]"


def test_parameters_that_do_nothing_yet_warn_only_when_they_matter() -> None:
    assert warnings("disable_tcp=yes dns=no rev_dns=no disable_tls=yes", 1) == []
    assert warnings("dns=yes\ndisable_tcp=no\ntcp_children=3", 1) == [
        (1, "dns is not in effect yet"),
        (2, "disable_tcp is not in effect yet"),
        (3, "tcp_children is not in effect yet"),
    ]
