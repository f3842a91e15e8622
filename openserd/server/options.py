"""The command line of the daemon as values; each option's meaning is OpenSER's."""

from dataclasses import dataclass, field

from openserd.core.params import GlobalParams

DEFAULT_CONFIG = "/usr/local/etc/openser/openser.cfg"
DEFAULT_MEGABYTES = 32


@dataclass(slots=True)
class Options:
    """What the operator has asked for; parameters of the script yield to it."""

    config: str = DEFAULT_CONFIG
    check: int = 0  #: 1 read the configuration and exit, 2 check route types too, 3 look for what is unwise
    json: bool = False  #: errors and warnings for programs
    dump: bool = False  #: print the generated Python and exit
    definitions: dict[str, str] = field(default_factory=dict)  #: names defined for the script's `#!ifdef`
    listen: list[str] = field(default_factory=list)
    children: int | None = None
    no_fork: int = 0  #: 1 one process, 2 all processes but in the foreground
    log_stderror: bool = False
    debug: int = 0
    megabytes: int = DEFAULT_MEGABYTES
    pid_file: str = ""
    group_file: str = ""
    chroot: str = ""
    user: str = ""
    group: str = ""
    workdir: str = ""
    receive_buffer: int | None = None
    check_via: bool = False
    unix_sock: str = ""
    argv: list[str] = field(default_factory=list)

    @property
    def foreground(self) -> bool:
        """Whether the server stays in the terminal."""
        return self.no_fork > 0

    def override(self, params: GlobalParams) -> None:
        """Gives the parameters that the command line names their values. Raises ConfigError."""
        if self.listen:
            params.override("listen", *self.listen)
        given: dict[str, int | str | None] = {
            "children": self.children,
            "maxbuffer": self.receive_buffer,
            "user": self.user or None,
            "group": self.group or None,
            "chroot": self.chroot or None,
            "workdir": self.workdir or None,
            "unix_sock": self.unix_sock or None,
            "check_via": 1 if self.check_via else None,
            "log_stderror": 1 if self.log_stderror else None,
            "fork": 0 if self.no_fork == 1 else None,
            "debug": self.debug or None,
        }
        for name, value in given.items():
            if value is not None:
                params.override(name, value)
