"""Modules that record how they are called, and their loader, for the tests of the script language."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Final

from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.module import (
    ANY_ROUTE,
    FAILURE,
    ONREPLY,
    REQUEST,
    Fn,
    Int,
    Module,
    PvName,
    PvStr,
    Regex,
    RouteRef,
    Str,
    param,
)
from openserd.core.routes import run
from openserd.errors import ConfigError, SipError
from openserd.script import Script, Surroundings, load
from tests.unit.script.pv_samples import message

Calls = list[tuple[Any, ...]]
CALLS: Calls = []


def recorded(name: str, msg: SipMsg, *args: object) -> int:
    """Notes a call; the result is what `RESULTS` says, else 1."""
    CALLS.append((name, *args))
    return RESULTS.get(name, 1)


RESULTS: dict[str, int] = {}


class Sl(Module):
    """Stateless replies."""

    name = "sl"
    functions = {"sl_send_reply": Fn(Str("code"), Str("reason"), routes=REQUEST), "sl_reply_error": Fn(routes=REQUEST)}

    def sl_send_reply(self, msg: SipMsg, code: bytes, reason: bytes) -> int:
        return recorded("sl_send_reply", msg, code, reason)

    def sl_reply_error(self, msg: SipMsg) -> int:
        return recorded("sl_reply_error", msg)


class Tm(Module):
    """Transactions."""

    name = "tm"
    functions = {
        "t_relay": Fn(Str("destination", optional=True), routes=REQUEST | FAILURE),
        "t_on_failure": Fn(RouteRef("block", FAILURE), routes=REQUEST | FAILURE),
        "t_on_reply": Fn(RouteRef("block", ONREPLY), routes=REQUEST | FAILURE),
    }

    def t_relay(self, msg: SipMsg, destination: bytes | None = None) -> int:
        return recorded("t_relay", msg)

    def t_on_failure(self, msg: SipMsg, block: str) -> int:
        return recorded("t_on_failure", msg, block)

    def t_on_reply(self, msg: SipMsg, block: str) -> int:
        return recorded("t_on_reply", msg, block)


class Rr(Module):
    """Record-Route."""

    name = "rr"
    enable_full_lr: int = param(0)
    functions = {"record_route": Fn(routes=REQUEST | FAILURE), "loose_route": Fn(routes=REQUEST)}

    def record_route(self, msg: SipMsg) -> int:
        return recorded("record_route", msg)

    def loose_route(self, msg: SipMsg) -> int:
        return recorded("loose_route", msg)


class MaxFwd(Module):
    """Max-Forwards."""

    name = "maxfwd"
    max_limit: int = param(256)
    functions = {"mf_process_maxfwd_header": Fn(Int("limit", lo=1, hi="max_limit"), routes=REQUEST)}

    def mf_process_maxfwd_header(self, msg: SipMsg, limit: int) -> int:
        return recorded("mf_process_maxfwd_header", msg, limit)


class UsrLoc(Module):
    """Location table."""

    name = "usrloc"
    db_mode: int = param(0)


class Registrar(Module):
    """Registrations."""

    name = "registrar"
    append_branches: int = param(1)
    functions = {
        "save": Fn(Str("domain"), Str("flags", optional=True), routes=REQUEST),
        "lookup": Fn(Str("domain"), routes=REQUEST | FAILURE),
    }

    def save(self, msg: SipMsg, domain: bytes, flags: bytes = b"") -> int:
        return recorded("save", msg, domain, flags)

    def lookup(self, msg: SipMsg, domain: bytes) -> int:
        return recorded("lookup", msg, domain)


class TextOps(Module):
    """Headers."""

    name = "textops"
    functions = {"append_hf": Fn(PvStr("text"), routes=ANY_ROUTE), "search": Fn(Regex("pattern"), routes=ANY_ROUTE)}

    def append_hf(self, msg: SipMsg, text: bytes) -> int:
        return recorded("append_hf", msg, text)

    def search(self, msg: SipMsg, pattern: Any) -> int:
        return recorded("search", msg, pattern.pattern)


class XLog(Module):
    """Log."""

    name = "xlog"
    functions = {"xlog": Fn(Str("level"), PvStr("text"), routes=ANY_ROUTE)}

    def xlog(self, msg: SipMsg, level: bytes, text: bytes) -> int:
        return recorded("xlog", msg, level, text)


class Probe(Module):
    """What tests need: marks in the record, chosen results, errors of several kinds."""

    name = "probe"
    functions = {
        "mark": Fn(PvStr("text"), routes=ANY_ROUTE),
        "give": Fn(Int("result"), routes=ANY_ROUTE),
        "crash": Fn(routes=ANY_ROUTE),
        "malformed": Fn(routes=ANY_ROUTE, on_error=-5),
        "name_of": Fn(PvName("variable"), routes=ANY_ROUTE),
    }

    def mark(self, msg: SipMsg, text: bytes) -> int:
        return recorded("mark", msg, text)

    def give(self, msg: SipMsg, result: int) -> int:
        return result

    def crash(self, msg: SipMsg) -> int:
        raise RuntimeError("a mistake in a module")

    def malformed(self, msg: SipMsg) -> int:
        raise SipError("no such header field")

    def name_of(self, msg: SipMsg, variable: Any) -> int:
        return recorded("name_of", msg, variable.get(msg))


MODULES: dict[str, type[Module]] = {
    module.name: module for module in (Sl, Tm, Rr, MaxFwd, UsrLoc, Registrar, TextOps, XLog, Probe)
}


class FakeLoader:
    """Knows the modules above."""

    def load(self, name: str) -> type[Module]:
        if name not in MODULES:
            near = get_close_matches(name, MODULES, 1)
            raise ConfigError(f"there is no module {name}", hint=f"did you mean {near[0]}?" if near else "")
        return MODULES[name]

    def exporters(self, function: str) -> list[str]:
        return [name for name, module in MODULES.items() if function in module.functions]


ALL_MODULES = "".join(f'loadmodule "{name}.so" ' for name in MODULES)


NOWHERE: Final = Surroundings()


def script(
    text: str, level: int = 1, core: Core | None = None, file: str = "openser.cfg", around: Surroundings = NOWHERE
) -> Script:
    """A script as it stands."""
    return load(text, file, core or Core(), FakeLoader(), level, None, around)


def files(**texts: str) -> Surroundings:
    """Surroundings with these files, NAME.cfg each."""

    def read(path: str) -> str:
        name = path.removesuffix(".cfg")
        if name not in texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        return texts[name]

    return Surroundings(read)


def compiled(blocks: str, **more: Any) -> Script:
    """Route blocks with all modules loaded, on the same line."""
    return script(ALL_MODULES + blocks, **more)


def marks(blocks: str, msg: SipMsg | None = None, kind: int = REQUEST, **more: Any) -> list[str]:
    """What `mark` was called with when the block of `kind` runs over `msg`."""
    return [args[0].decode() for name, *args in calls(blocks, msg, kind, **more) if name == "mark"]


def calls(blocks: str, msg: SipMsg | None = None, kind: int = REQUEST, **more: Any) -> Calls:
    """All recorded calls of one run."""
    CALLS.clear()
    run(entry(compiled(blocks, **more), kind), message() if msg is None else msg, kind)
    return list(CALLS)


def entry(made: Script, kind: int) -> Callable[[SipMsg], int]:
    """The block that a run of `kind` begins with: the only one where they have names."""
    routes = made.routes
    function = {
        1: routes.request,
        2: routes.failure.get("1"),
        4: routes.reply,
        8: routes.branch.get("1"),
        16: routes.error,
    }[kind]
    assert function is not None
    return function


def result(blocks: str, msg: SipMsg | None = None, **more: Any) -> int:
    """What the request route returns."""
    return run(entry(compiled(blocks, **more), REQUEST), message() if msg is None else msg, REQUEST)


def holds(condition: str, msg: SipMsg | None = None, before: str = "", **more: Any) -> bool:
    """Whether a condition is true."""
    return marks(f'route {{ {before} if ({condition}) mark("yes"); }}', msg, **more) == ["yes"]
