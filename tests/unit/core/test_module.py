"""The vocabulary of modules: declarations become a working surface, and a wrong surface is refused by name."""

import importlib
import pkgutil
from collections.abc import Callable

import pytest

from openserd import mods
from openserd.core.management.mi import Reply
from openserd.core.message import SipMsg
from openserd.core.module import (
    FALSE,
    OK,
    REQUEST,
    Every,
    Fixup,
    Fn,
    Int,
    Mi,
    Module,
    Process,
    Pv,
    Str,
    between,
    not_negative,
    param,
    positive,
    stat,
)
from openserd.errors import ConfigError, SipError
from tests.support.recording import request


class Sample(Module):
    """One of everything."""

    name = "sample"
    limit: int = param(10, between(1, 100))
    label: str = param("none")
    raw: bytes = param(b"")
    rules: list[str] = param([])
    owner: int | str = param(-1)
    odd: int = param(0, names=("odd-name", "odd_name"))
    seen = stat("seen_total")
    size = stat("size", computed=True)
    functions = {
        "check": Fn(Int("n"), Str("text", optional=True), routes=REQUEST, on_error=-3),
        "fixed": Fn(Fixup("x", "fix_x"), routes=REQUEST),
    }
    mi = {"s_dump": Mi(Str("level", optional=True)), "s_any": Mi(rest=True)}
    pvars = {"s.code": Pv(), "s": Pv(inner=True)}
    timers = {"expire": Every("limit")}
    hooks = ("ack_in", "reply_in", "request_out")
    processes = {"helper": Process("SAMPLE")}

    def check(self, msg: SipMsg, n: int, text: bytes = b"") -> int:
        if n < 0:
            raise SipError("negative", 0, 400)
        return OK if n < self.limit else FALSE

    def fixed(self, msg: SipMsg, x: str) -> int:
        return OK

    def fix_x(self, text: str) -> str:
        return text.upper()

    def mi_s_dump(self, level: str = "") -> Reply:
        return Reply()

    def mi_s_any(self, *words: str) -> Reply:
        return Reply()

    def pv_s_code(self, msg: SipMsg) -> int:
        return 1

    def pv_s(self, msg: SipMsg, name: bytes) -> bytes:
        return name

    def timer_expire(self) -> None: ...

    def on_ack_in(self, msg: SipMsg) -> bool:
        return True

    def on_reply_in(self, msg: SipMsg) -> bool:
        return False

    def on_request_out(self, msg: SipMsg) -> None: ...

    def process_helper(self) -> None: ...

    def stat_size(self) -> int:
        return 7


# --- parameters ----------


def test_parameters_begin_with_their_defaults() -> None:
    module = Sample()
    assert (module.limit, module.label, module.raw, module.rules, module.owner) == (10, "none", b"", [], -1)


def test_parameters_take_what_the_script_says() -> None:
    module = Sample(limit=5, label="x", raw="caf\xe9")
    module.set_param("rules", "one")
    module.set_param("rules", "two")
    module.set_param("owner", "root")
    assert (module.limit, module.label, module.raw) == (5, "x", b"caf\xc3\xa9")
    assert (module.rules, module.owner) == (["one", "two"], "root")
    module.set_param("owner", 0)
    assert module.owner == 0


def test_two_modules_do_not_share_a_list() -> None:
    Sample().set_param("rules", "one")
    assert Sample().rules == []


def test_a_parameter_may_have_names_that_are_no_python() -> None:
    module = Sample()
    module.set_param("odd-name", 3)
    assert module.odd == 3
    with pytest.raises(ConfigError, match="has no parameter 'odd'"):
        module.set_param("odd", 3)


@pytest.mark.parametrize(
    ("name", "value", "message", "expected"),
    [
        ("limit", "5", "limit takes a number", "a number without quotes"),
        ("label", 5, "label takes text", "text in double quotes"),
        ("rules", 5, "rules takes text", "text in double quotes"),
        ("limit", 0, "limit cannot be 0", "a number from 1 to 100"),
        ("limit", 101, "limit cannot be 101", "a number from 1 to 100"),
        ("nothing", 1, "module sample has no parameter 'nothing'", ""),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, value: int | str, message: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Sample().set_param(name, value)
    assert (refused.value.message, refused.value.expected) == (message, expected)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [(positive, [1, 9], [0, -1]), (not_negative, [0, 9], [-1]), (between(2, 4), [2, 4], [1, 5])],
)
def test_checks_of_numbers(check: Callable[[int], str | None], good: list[int], bad: list[int]) -> None:
    assert [check(value) for value in good] == [None] * len(good)
    assert all(check(value) for value in bad)


# --- functions and statistics ----------


def test_a_script_function_answers_its_code_for_a_malformed_message() -> None:
    function, msg = Sample().function("check"), request()
    assert (function(msg, 1), function(msg, 50)) == (OK, FALSE)
    assert function(msg, -1) == -3
    assert msg.error is not None and msg.error.reason == "negative"


def test_arities_count_optional_arguments() -> None:
    assert list(Sample.functions["check"].arities) == [1, 2]
    assert list(Fn(routes=REQUEST).arities) == [0]


def test_a_function_may_take_all_of_its_optional_arguments_or_none() -> None:
    pair = Fn(Str("a", optional=True), Str("b", optional=True), routes=REQUEST, counts=(0, 2))
    assert list(pair.arities) == [0, 2]


def test_a_statistic_counts_and_a_computed_one_asks_its_method() -> None:
    module = Sample()
    module.seen.bump(2)
    assert (module.seen.group, module.seen.name, module.seen.value()) == ("sample", "seen_total", 2)
    assert (module.size.value(), module.size.resettable) == (7, False)
    assert Sample().seen.value() == 0


def test_an_mi_command_without_arguments_reads_none() -> None:
    assert Mi().no_input
    assert not Sample.mi["s_dump"].no_input and not Sample.mi["s_any"].no_input


# --- wrong surfaces ----------


def refusal(**members: object) -> str:
    """What is said about a module class with these members."""
    with pytest.raises(TypeError) as refused:
        type("Wrong", (Module,), {"name": "wrong", **members})
    return str(refused.value)


def nothing(self: object) -> None: ...


def one(self: object, a: object) -> int:
    return 1


def two(self: object, a: object, b: object) -> int:
    return 1


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"functions": {"save": Fn(routes=REQUEST)}}, "save is declared but has no method"),
        ({"mi": {"ul_dump": Mi()}}, "mi_ul_dump is declared but has no method"),
        ({"pvars": {"T.code": Pv()}}, "pv_T_code is declared but has no method"),
        ({"timers": {"expire": Every(1)}}, "timer_expire is declared but has no method"),
        ({"hooks": ("reply_in",)}, "on_reply_in is declared but has no method"),
        ({"processes": {"fifo": Process("x")}}, "process_fifo is declared but has no method"),
        ({"users": stat("users", computed=True)}, "stat_users is declared but has no method"),
        ({"functions": {"save": Fn(routes=REQUEST)}, "save": 5}, "save is declared but has no method"),
    ],
)
def test_a_declaration_without_its_method_is_refused(members: dict[str, object], problem: str) -> None:
    assert refusal(**members) == f"module wrong: {problem}"


@pytest.mark.parametrize("name", ["mi_x", "pv_x", "timer_x", "on_x", "stat_x", "process_x"])
def test_a_method_without_its_declaration_is_refused(name: str) -> None:
    assert refusal(**{name: nothing}) == f"module wrong: {name} is a method but not declared"


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"functions": {"f": Fn(Str("a"), routes=REQUEST)}, "f": one}, "f takes 1 arguments, declared are 2"),
        ({"functions": {"f": Fn(routes=REQUEST)}, "f": two}, "f takes 2 arguments, declared are 1"),
        (
            {"functions": {"f": Fn(Str("a", optional=True), routes=REQUEST)}, "f": two},
            "f takes 2 arguments, declared are 2",
        ),
        ({"mi": {"m": Mi()}, "mi_m": one}, "mi_m takes 1 arguments, declared are 0"),
        ({"mi": {"m": Mi(Str("a"))}, "mi_m": nothing}, "mi_m takes 0 arguments, declared are 1"),
        ({"pvars": {"p": Pv(inner=True)}, "pv_p": one}, "pv_p takes 1 arguments, declared are 2"),
        ({"timers": {"t": Every(1)}, "timer_t": one}, "timer_t takes 1 arguments, declared are 0"),
        ({"hooks": ("reply_in",), "on_reply_in": nothing}, "on_reply_in takes 0 arguments, declared are 1"),
        ({"processes": {"p": Process("x")}, "process_p": one}, "process_p takes 1 arguments, declared are 0"),
    ],
)
def test_a_method_with_other_arguments_than_declared_is_refused(members: dict[str, object], problem: str) -> None:
    assert problem in refusal(**members)


def test_an_unknown_hook_is_refused() -> None:
    assert "no hook reply_out" in refusal(hooks=("reply_out",), on_reply_out=one)


def test_a_fixup_without_its_method_is_refused() -> None:
    assert "f: no method fix_f" in refusal(functions={"f": Fn(Fixup("x", "fix_f"), routes=REQUEST)}, f=two)


def test_all_problems_are_told_at_once() -> None:
    text = refusal(mi={"a": Mi(), "b": Mi()}, timer_x=nothing)
    assert text.count(";") == 2 and text.startswith("module wrong: mi_a")


def test_the_life_cycle_needs_no_declaration() -> None:
    class Quiet(Module):
        name = "quiet"

        def on_init(self, core: object) -> None: ...

        def on_child(self, rank: int) -> None: ...

        def on_exit(self) -> None: ...

    Quiet().on_exit()


# --- the real ones ----------

MODULES = sorted(found.name for found in pkgutil.iter_modules(mods.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_of_openserd_has_the_surface_that_it_declares(name: str) -> None:
    package = importlib.import_module(f"openserd.mods.{name}")
    for found in pkgutil.iter_modules(getattr(package, "__path__", [])):
        importlib.import_module(f"{package.__name__}.{found.name}")
    classes = [
        member
        for member in vars(package).values()
        if isinstance(member, type) and issubclass(member, Module) and member.__module__ == package.__name__
    ]
    assert [one.name for one in classes] == [name]
    module = classes[0]()
    for function in module.functions:
        assert callable(module.function(function))
    for parameter in module.params:
        assert parameter.isprintable()
    assert (package.__doc__ or "").strip(), "a module says what it is"


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) >= 9
