"""The global parameters of a script: one table that names, types, explains and checks them all.

The class body of `GlobalParams` is the table (OpenSER: the assignments in cfg.lex and cfg.y).  A parameter that is read
but does not do anything yet says so when it is set to something that matters.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from openserd.errors import ConfigError

NO_LIMIT: Final = -1
ENDPOINT: Final = re.compile(
    r"(?:(?P<proto>udp|tcp|tls|any):)?(?P<host>\[[0-9a-f:.]+\]|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*|[^\s:\[\]]+)"
    r"(?::(?P<port>\d+))?",
    re.I,
)
TOS_NAMES: Final = {"IPTOS_LOWDELAY": 0x10, "IPTOS_THROUGHPUT": 0x08, "IPTOS_RELIABILITY": 0x04, "IPTOS_MINCOST": 0x02}
FACILITIES: Final = frozenset(
    (
        "LOG_AUTH",
        "LOG_AUTHPRIV",
        "LOG_CRON",
        "LOG_DAEMON",
        "LOG_FTP",
        "LOG_KERN",
        "LOG_LPR",
        "LOG_MAIL",
        "LOG_NEWS",
        "LOG_SYSLOG",
        "LOG_USER",
        "LOG_UUCP",
        *(f"LOG_LOCAL{n}" for n in range(8)),
    )
)
POLL_METHODS: Final = ("none", "poll", "epoll_lt", "epoll_et", "sigio_rt", "select", "kqueue", "/dev/poll", "auto")
TLS_METHODS: Final = ("SSLv23", "SSLv2", "SSLv3", "TLSv1")


class Endpoint(NamedTuple):
    """An address as written in `listen` or `alias`: `proto` None for any, `port` 0 for the default or any."""

    proto: str | None
    host: str
    port: int


class BlacklistRule(NamedTuple):
    """One rule of a destination blacklist; `network` as written, `port` 0 for any, `pattern` "" for any body."""

    negated: bool
    proto: str | None
    network: str
    port: int
    pattern: str


class TlsDomainSettings(NamedTuple):
    """TLS settings for one address or name: `kind` is server or client."""

    kind: str
    address: str
    settings: dict[str, int | str]


Written = int | str
Read = Callable[[Written], Any]  #: raises ConfigError, in whose message {name} stands for the parameter


def number(value: Written) -> int:
    """A number."""
    if isinstance(value, int):
        return value
    raise ConfigError("{name} takes a number", expected="a number without quotes")


def positive(value: Written) -> int:
    """A number above zero."""
    if number(value) > 0:
        return number(value)
    raise ConfigError(f"{{name}} cannot be {value}", expected="a number above 0")


def workers(value: Written) -> int:
    """A number of processes; 0, which scripts write beside fork=no, is read as 1."""
    if number(value) >= 0:
        return number(value) or 1
    raise ConfigError(f"{{name}} cannot be {value}", expected="0 or a number above it")


def port_number(value: Written) -> int:
    """A port."""
    if 0 < number(value) < 65536:
        return number(value)
    raise ConfigError(f"{{name}}: {value} is no port", expected="a number from 1 to 65535")


def port_or(default: int) -> Read:
    """A port; 0 is read as the default."""

    def read(value: Written) -> int:
        return port_number(value) if value != 0 else default

    return read


def time_to_live(value: Written) -> int:
    """A number of hops; anything below 0 is read as -1, the system's choice."""
    if number(value) < 256:
        return max(number(value), NO_LIMIT)
    raise ConfigError(f"{{name}}: {value} is too many hops", expected="-1 or a number from 0 to 255")


def permissions(value: Written) -> int:
    """The permissions of a file."""
    if 0 <= number(value) <= 0o777:
        return number(value)
    raise ConfigError(f"{{name}}: {value} is no set of permissions", expected="an octal number such as 0660")


def truth(value: Written) -> bool:
    """yes or no; any number but 0 is yes."""
    if isinstance(value, int):
        return value != 0
    raise ConfigError("{name} takes yes or no", expected="yes or no (or true, on, enable, 1 / false, off, disable, 0)")


def text(value: Written) -> str:
    """A string or a bare word."""
    if isinstance(value, str):
        return value
    raise ConfigError("{name} takes text", expected="text in double quotes")


def word(value: Written) -> str:
    """A string, a bare word or a number, as text."""
    return str(value)


def one_of(*words: str) -> Read:
    """One of a few words."""

    def read(value: Written) -> str:
        if value in words:
            return str(value)
        raise ConfigError(f"{{name}} cannot be {value}", expected=" or ".join(words))

    return read


def facility(value: Written) -> str:
    """The name of a syslog facility."""
    if value in FACILITIES:
        return str(value)
    raise ConfigError(
        f"{{name}}: {value} is no syslog facility", expected="LOG_DAEMON, LOG_LOCAL0 ... LOG_LOCAL7 or another"
    )


def tos_value(value: Written) -> int:
    """A type of service, by number or name."""
    if isinstance(value, int):
        return value
    if value in TOS_NAMES:
        return TOS_NAMES[value]
    raise ConfigError(f"{{name}}: {value} is no type of service", expected="a number or " + " or ".join(TOS_NAMES))


def endpoint(value: Written) -> Endpoint:
    """`[proto:]host[:port]`."""
    match = ENDPOINT.fullmatch(str(value).strip())
    right = (
        match is not None and int(match["port"] or 0) < 65536 and (":" not in match["host"] or is_ipv6(match["host"]))
    )
    if match is None or not right:
        raise ConfigError(f"{{name}}: {value} is no address", expected="[proto:]host[:port], such as udp:10.0.0.1:5060")
    proto = (match["proto"] or "any").lower()
    return Endpoint(None if proto == "any" else proto, match["host"].strip("[]"), int(match["port"] or 0))


def is_ipv6(host: str) -> bool:
    """Whether a host, with or without brackets, is an IPv6 address."""
    try:
        return ip_address(host.strip("[]")).version == 6
    except ValueError:
        return False


class Setting:
    """One parameter: how its value is read, its default, what it is for.

    `effective` False means that setting it has no effect yet; `quiet` is the value that needs no word about that.
    """

    def __init__(
        self,
        read: Read,
        default: object,
        meaning: str,
        aliases: tuple[str, ...],
        effective: bool,
        quiet: object,
        many: bool,
    ) -> None:
        self.name = ""
        self.read = read
        self.default = default
        self.meaning = meaning
        self.aliases = aliases
        self.effective = effective
        self.quiet = default if quiet is None else quiet
        self.many = many

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name


def setting(
    read: Read,
    default: Any,
    meaning: str,
    *,
    aliases: tuple[str, ...] = (),
    effective: bool = True,
    quiet: object = None,
    many: bool = False,
) -> Any:
    """Declares a parameter; the annotation gives its type for the reader of the class."""
    return Setting(read, default, meaning, aliases, effective, quiet, many)


def later(read: Read, default: Any, meaning: str, *, aliases: tuple[str, ...] = (), quiet: object = None) -> Any:
    """Declares a parameter that is read and kept, and has no effect yet."""
    return Setting(read, default, meaning, aliases, False, quiet, False)


class GlobalParams:
    """The values of the global parameters, at first their defaults.

    `set` is what the script says; `override` what the command line says, which wins whichever comes first.
    """

    # addresses
    listen: list[Endpoint] = setting(endpoint, [], "addresses to receive at; all local ones when none", many=True)
    port: int = setting(port_or(5060), 5060, "port of listeners that name none")
    alias: list[Endpoint] = setting(endpoint, [], "further names that `myself` matches; port 0 any port", many=True)
    auto_aliases: bool = setting(truth, True, "names of the listening addresses by reverse DNS are `myself` too")
    advertised_address: str = setting(word, "", "address for Via and Record-Route in place of the listener's")
    advertised_port: int = setting(port_number, 0, "port for Via and Record-Route in place of the listener's")
    mhomed: bool = setting(truth, False, "ask the routing table which listener sends to a destination")
    tos: int = setting(tos_value, 0x10, "IP type of service of what is sent")
    maxbuffer: int = setting(positive, 262144, "most bytes the receive buffer of a socket may grow to")
    mcast_loopback: bool = setting(truth, False, "own multicast packets are delivered here too")
    mcast_ttl: int = setting(time_to_live, NO_LIMIT, "TTL of outgoing multicast; -1 the system's")

    # processes
    fork: bool = setting(truth, True, "run as a daemon with workers; otherwise one process in the foreground")
    children: int = setting(workers, 8, "workers for each UDP listener")
    user: str = setting(word, "", "account to change to", aliases=("uid",))
    group: str = setting(word, "", "group to change to", aliases=("gid",))
    chroot: str = setting(word, "", "directory to change the root to")
    workdir: str = setting(word, "/", "working directory", aliases=("wdir",))
    open_files_limit: int = setting(number, NO_LIMIT, "limit of open files; -1 as it is")
    disable_core_dump: bool = setting(truth, False, "no core dumps")
    mpath: str = setting(text, "", "directory put in front of module names; kept for old scripts")
    socket_mode: str = setting(
        one_of("reuseport", "shared"),
        "reuseport",
        "one socket for each worker, whose peers "
        "the kernel keeps apart, or one shared socket for all workers of a listener",
    )
    gather_load: bool = setting(
        truth,
        True,
        "the first worker of a listener gets all datagrams while it can carry the load, all workers beyond that "
        "(with socket_mode=reuseport)",
    )
    exit_on_child_death: bool = setting(truth, False, "end the server when a child dies of a signal")

    # script
    max_while_loops: int = setting(positive, 100, "rounds after which a `while` of the script is left")

    # log
    debug: int = setting(number, 2, "most detailed level that is logged: -3 alert ... 2 notice, 3 info, 4 debug")
    log_stderror: bool = setting(truth, False, "log to standard error, not to syslog")
    log_facility: str = setting(facility, "LOG_DAEMON", "syslog facility")
    log_name: str = setting(text, "", "name in syslog; the program's when empty")
    memlog: int = setting(number, 4, "log level of the memory status at shutdown", aliases=("mem_log",))

    # replies and requests made here
    check_via: bool = setting(truth, False, "the first Via of a reply must name this server")
    reply_to_via: bool = setting(truth, False, "stateless replies go to the address in Via, not to the source")
    server_signature: bool = setting(truth, True, "a Server header field in replies made here")
    server_header: str = setting(text, "", "the whole Server line; the server's own when empty")
    user_agent_header: str = setting(text, "", "the whole User-Agent line of requests made here; own when empty")
    sip_warning: bool = setting(truth, False, "a Warning 392 header field in replies made here")
    avp_aliases: str = setting(text, "", "name=AVP;... : further names for AVPs")

    # DNS
    dns: bool = later(truth, False, "compare the host in Via with the source by DNS")
    rev_dns: bool = later(truth, False, "compare the source with the host in Via by reverse DNS")
    dns_try_ipv6: bool = later(truth, True, "ask for IPv6 addresses where there is no IPv4 address")
    dns_retr_time: int = later(number, NO_LIMIT, "seconds before a query is repeated; -1 the resolver's")
    dns_retr_no: int = later(number, NO_LIMIT, "repetitions of a query; -1 the resolver's")
    dns_servers_no: int = later(number, NO_LIMIT, "name servers used; -1 the resolver's")
    dns_use_search_list: int = later(number, NO_LIMIT, "use the search list; -1 as the resolver does")
    disable_dns_failover: bool = setting(truth, False, "no further addresses of a name after a failure (RFC 3263)")
    disable_dns_blacklist: bool = later(truth, False, "no automatic list of failed destinations", quiet=True)

    # TCP
    disable_tcp: bool = later(truth, False, "no TCP", quiet=True)
    tcp_children: int = later(positive, 0, "TCP processes; 0 as many as children")
    tcp_accept_aliases: bool = later(truth, False, "honour the alias parameter of Via")
    tcp_send_timeout: int = later(positive, 10, "seconds before a blocked send is given up")
    tcp_connect_timeout: int = later(positive, 10, "seconds before a connect is given up")
    tcp_connection_lifetime: int = later(positive, 120, "idle seconds before a connection is closed")
    tcp_max_connections: int = later(number, 2048, "most connections at a time")
    tcp_poll_method: str = later(one_of(*POLL_METHODS), "auto", "how connections are waited for")

    # TLS
    disable_tls: bool = later(truth, True, "no TLS")
    tls_port_no: int = later(port_or(5061), 5061, "port of TLS listeners that name none")
    tlslog: int = later(number, 0, "log level of TLS", aliases=("tls_log",))
    tls_method: str = later(one_of(*TLS_METHODS), "SSLv23", "protocol of the default domains")
    tls_verify_client: bool = later(truth, True, "ask clients for a certificate and check it")
    tls_verify_server: bool = later(truth, True, "check the certificate of servers")
    tls_require_client_certificate: bool = later(truth, True, "refuse clients without a certificate")
    tls_certificate: str = later(text, "", "certificate file of the default domains")
    tls_private_key: str = later(text, "", "key file of the default domains")
    tls_ca_list: str = later(text, "", "file of trusted authorities of the default domains")
    tls_ciphers_list: str = later(text, "", "ciphers of the default domains")
    tls_handshake_timeout: int = later(positive, 30, "seconds for a handshake")
    tls_send_timeout: int = later(positive, 30, "seconds for a write")
    tls_client_domain_avp: int = later(number, 0, "integer AVP that names the client domain; 0 none")

    # control socket
    unix_sock: str = setting(text, "", "path of the control socket; none when empty")
    unix_sock_children: int = setting(positive, 1, "processes of the control socket")
    unix_tx_timeout: int = setting(positive, 2000, "milliseconds for a send on the control socket")
    sock_mode: int = setting(permissions, 0o660, "permissions of the control socket")
    sock_user: str = setting(word, "", "owner of the control socket")
    sock_group: str = setting(word, "", "group of the control socket")

    def __init__(self) -> None:
        self.blacklists: dict[str, list[BlacklistRule]] = {}
        self.tls_domains: list[TlsDomainSettings] = []
        self.given: set[str] = set()  #: parameters that somebody has set
        self.overridden: set[str] = set()  #: parameters that the command line has set
        for declared in SETTINGS.values():
            default = declared.default
            setattr(self, declared.name, list(default) if isinstance(default, list) else default)

    def set(self, name: str, values: Iterable[Written]) -> str | None:
        """What a script says: sets a parameter, or adds to a list of addresses.

        Comes back with a warning when the value has no effect.  Raises ConfigError without a place.
        """
        declared = find(name)
        read = self.read(declared, list(values))
        if declared.name in self.overridden and not declared.many:
            return None
        return self.keep(declared, read)

    def override(self, name: str, *values: Written) -> str | None:
        """What the command line says. Errors as `set`."""
        declared = find(name)
        self.overridden.add(declared.name)
        return self.keep(declared, self.read(declared, list(values)))

    @staticmethod
    def read(declared: Setting, values: list[Written]) -> Any:
        """The value, or list of values, for what was written."""
        try:
            if declared.many:
                return [declared.read(value) for value in values]
            if len(values) != 1:
                raise ConfigError("{name} takes one value", expected="one value")
            return declared.read(values[0])
        except ConfigError as error:
            message = error.message.replace("{name}", declared.name, 1)
            raise ConfigError(message, expected=error.expected, hint=declared.meaning) from None

    def keep(self, declared: Setting, value: Any) -> str | None:
        """Stores a value; a warning when that has no effect."""
        self.given.add(declared.name)
        if declared.many:
            getattr(self, declared.name).extend(value)
        else:
            setattr(self, declared.name, value)
        if declared.effective or value == declared.quiet:
            return None
        return f"{declared.name} is not in effect yet"


SETTINGS: Final[dict[str, Setting]] = {
    declared.name: declared for declared in vars(GlobalParams).values() if isinstance(declared, Setting)
}
for _name in SETTINGS:  # the values are the instance's: a class attribute of that name makes each reading slow
    delattr(GlobalParams, _name)
NAMES: Final[dict[str, Setting]] = SETTINGS | {
    alias: declared for declared in SETTINGS.values() for alias in declared.aliases
}


def find(name: str) -> Setting:
    """The parameter of this name or alias. Raises ConfigError."""
    if name in NAMES:
        return NAMES[name]
    raise ConfigError(f"there is no parameter {name}")
