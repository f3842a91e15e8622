"""Parameters and modules: what stands outside of the route blocks is carried out, in the order of the file."""

import re
from collections.abc import Iterable
from typing import Any, Final, Protocol

import regex

from openserd.core.module import Module
from openserd.core.network.blacklists import network_of
from openserd.core.params import NAMES, BlacklistRule, GlobalParams, TlsDomainSettings
from openserd.errors import ConfigError
from openserd.script.checks.report import Report
from openserd.script.problems import did_you_mean, nearest
from openserd.script.tree import (
    Blacklist,
    Block,
    Item,
    LoadModule,
    ModParam,
    Node,
    Number,
    Setting,
    Text,
    TlsDomain,
    Variable,
    Word,
)
from openserd.script.variables.named import parse_avp_aliases

PREFERRED: Final = {"log_level": "debug", "wd": "workdir", "processes": "children", "workers": "children"}
PORT_OF_ANY: Final = ("any", "ANY", "0", "")


class Loader(Protocol):
    """Where modules come from."""

    def load(self, name: str) -> type[Module]:
        """The class of a module. Raises ConfigError where there is none."""

    def exporters(self, function: str) -> list[str]:
        """The names of all modules that export a script function, loaded or not."""


class Loading:
    """Carries out parameters, `loadmodule` and `modparam` of one script."""

    def __init__(self, params: GlobalParams, loader: Loader, report: Report) -> None:
        self.params = params
        self.loader = loader
        self.report = report
        self.modules: list[Module] = []
        self.failed = False  #: whether a module could not be loaded
        self.waiting: dict[str, LoadModule] = {}

    def run(self, items: Iterable[Item]) -> None:
        """All items but route blocks."""
        todo = [item for item in items if not isinstance(item, Block)]
        self.waiting = {module_name(item.path.value): item for item in todo if isinstance(item, LoadModule)}
        for item in todo:
            match item:
                case Setting():
                    self.set(item)
                case LoadModule():
                    self.load(item)
                case ModParam():
                    self.modparam(item)
                case Blacklist():
                    self.blacklist(item)
                case TlsDomain():
                    self.tls_domain(item)

    # -- parameters -----------------------------------------------------------------------------------------

    def set(self, item: Setting) -> None:
        """`name = value`."""
        if item.name not in NAMES:
            self.unknown(item)
            return
        many = NAMES[item.name].many
        if len(item.values) > 1 and not many:
            self.report.error(f"{item.name} takes one value", item.values[1], expected="one value")
            return
        for value in item.values:
            try:
                warning = self.params.set(item.name, [written(value)])
                if item.name == "avp_aliases":
                    parse_avp_aliases(str(written(value)))
            except ConfigError as error:
                self.report.raised(error, value)
            else:
                if warning:
                    self.report.warn(warning, item)

    def unknown(self, item: Setting) -> None:
        """Reports a parameter that does not exist."""
        near = PREFERRED.get(item.name) or nearest(item.name, NAMES)
        hint = f"did you mean {near}?" if near else ""
        self.report.error_at(
            f"unknown parameter {item.name}",
            item.start,
            item.name_end,
            expected="the name of a global parameter",
            hint=hint,
        )

    def blacklist(self, item: Blacklist) -> None:
        """`dst_blacklist`."""
        rules = [self.blacklist_rule(negated, values) for negated, values in item.rules]
        self.params.blacklists.setdefault(item.name, []).extend(rule for rule in rules if rule is not None)

    def blacklist_rule(self, negated: bool, values: tuple[Node, ...]) -> BlacklistRule | None:
        """One rule; None where an error was reported."""
        proto, network, port, pattern = values
        for read, node in ((blacklist_proto, proto), (blacklist_network, network), (blacklist_port, port)):
            try:
                read(node)
            except ConfigError as error:
                self.report.raised(error, node)
                return None
        return BlacklistRule(
            negated, blacklist_proto(proto), blacklist_network(network), blacklist_port(port), str(written(pattern))
        )

    def tls_domain(self, item: TlsDomain) -> None:
        """`tls_server_domain` and `tls_client_domain`."""
        for setting in item.settings:
            if len(setting.values) > 1:
                self.report.error(f"{setting.name} takes one value", setting.values[1], expected="one value")
        settings = {setting.name: written(setting.values[0]) for setting in item.settings}
        kind = item.kind.removeprefix("tls_").removesuffix("_domain")
        self.params.tls_domains.append(TlsDomainSettings(kind, item.address, settings))
        self.report.warn(f"{item.kind} is not in effect yet", item)

    # -- modules --------------------------------------------------------------------------------------------

    def load(self, item: LoadModule) -> None:
        """`loadmodule`."""
        name = module_name(item.path.value)
        if any(module.name == name for module in self.modules):
            self.report.warn(f"module {name} is loaded already", item.path)
            return
        try:
            self.modules.append(self.loader.load(name)())
        except ConfigError as error:
            self.failed = True
            self.report.raised(error, item.path)

    def modparam(self, item: ModParam) -> None:
        """`modparam`: every loaded module whose whole name matches gets the value."""
        try:
            pattern = regex.compile(f"(?:{item.modules.value})", regex.POSIX | regex.IGNORECASE)
        except regex.error as error:
            self.report.error(
                f"bad regular expression: {error}",
                item.modules,
                expected="a POSIX extended regular expression over module names",
            )
            return
        chosen = [module for module in self.modules if pattern.fullmatch(module.name)]
        if not chosen:
            self.nobody(item)
        for module in chosen:
            self.give(module, item)

    def give(self, module: Module, item: ModParam) -> None:
        """Sets one parameter of one module."""
        name = item.name.value
        if name not in module.params:
            self.report.error(
                f"module {module.name} has no parameter {name}", item.name, hint=did_you_mean(name, module.params)
            )
            return
        try:
            module.set_param(name, written(item.value))
        except ConfigError as error:
            self.report.raised(error, item.value)

    def nobody(self, item: ModParam) -> None:
        """Reports a modparam that no loaded module takes."""
        wanted = item.modules.value
        later = self.waiting.get(wanted)
        if later is not None:
            if self.failed:
                return
            hint = f'loadmodule "{later.path.value}" in {self.report.where(later, item)} must stand before'
        else:
            hint = did_you_mean(wanted, [module.name for module in self.modules]) or (
                f'add loadmodule "{wanted}.so" before' if re.fullmatch(r"[\w-]+", wanted) else ""
            )
        self.report.error(f"no loaded module is named {wanted}", item.modules, hint=hint)


def module_name(path: str) -> str:
    """The module that a path names: its last part without .so."""
    return path.rstrip("/").rpartition("/")[2].removesuffix(".so")


def written(value: Node) -> Any:
    """A value as parameters take it: int or str."""
    match value:
        case Number() | Text() | Word():
            return value.value
        case Variable():
            return value.text
    raise AssertionError(f"{type(value).__name__} is no value")


def blacklist_proto(value: Node) -> str | None:
    """The protocol of a blacklist rule, None for any."""
    word = str(written(value)).lower()
    if word not in ("udp", "tcp", "tls", "any"):
        raise ConfigError(f"{word} is no protocol", expected="udp, tcp, tls or any")
    return None if word == "any" else word


def blacklist_network(value: Node) -> str:
    """The network of a blacklist rule, as written."""
    network = str(written(value))
    network_of(network)
    return network


def blacklist_port(value: Node) -> int:
    """The port of a blacklist rule, 0 for any."""
    port = written(value)
    if port in PORT_OF_ANY:
        return 0
    if not isinstance(port, int) or not 0 <= port < 65536:
        raise ConfigError(f"{port} is no port", expected="a number from 0 to 65535, or any")
    return port
