"""openserctlrc: the settings of the control tool, `NAME=value` lines as a shell would read them.

The files are read one after the other and later ones win; what no file sets is taken from the environment,
what is not there either has the default.  Values may be quoted and may use `$NAME`; anything else that a shell
would understand is passed over.  (OpenSER: the files are run by the shell.)
"""

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

FILES: Final = ("/usr/local/etc/openser/openserctlrc", "/etc/openser/openserctlrc", "~/.openserctlrc")

DEFAULTS: Final = {
    "DBENGINE": "SQLITE",
    "DBHOST": "localhost",
    "DBNAME": "openser",
    "DBROOTUSER": "",
    "DBROPW": "openserro",
    "DBROUSER": "openserro",
    "DBRWUSER": "openser",
    "DBTEXT_PATH": "/usr/local/etc/openser/dbtext",
    "DB_PATH": "/var/lib/openser/openser.db",
    "TABLE_TYPE": "",
    "USERCOL": "username",
    "CTLENGINE": "FIFO",
    "OSER_FIFO": "/tmp/openser_fifo",
    "OSER_REPLY_DIR": "/tmp",
    "OSER_UNIXSOCK": "/tmp/openser.sock",
    "SIP_DOMAIN": "",
    "ACL_GROUPS": "local ld int voicemail free-pstn",
    "VERIFY_ACL": "1",
    "STORE_PLAINTEXT_PW": "1",
    "SUB_TABLE": "subscriber",
    "ACL_TABLE": "grp",
    "ALS_TABLE": "aliases",
    "AVP_TABLE": "usr_preferences",
    "DA_TABLE": "dbaliases",
    "DOMAIN_TABLE": "domain",
    "GW_TABLE": "gw",
    "GW_GRP_TABLE": "gw_grp",
    "LCR_TABLE": "lcr",
    "SD_TABLE": "speed_dial",
    "UL_TABLE": "location",
    "URI_TABLE": "uri",
    "VERBOSE": "0",
    "WATCH_PERIOD": "2",
    "ETCDIR": "/usr/local/etc/openser",
    "PID_FILE": "/var/run/openser.pid",
    "SYSLOG": "1",
}

ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.S)
VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class Settings:
    """The variables of openserctlrc, by name."""

    def __init__(self, files: Iterable[str] = FILES, environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(os.environ if environment is None else environment)
        self.values: dict[str, str] = {}
        for name in files:
            self.read(Path(name).expanduser())

    def read(self, path: Path) -> None:
        """Takes in a file; one that is absent or may not be read sets nothing."""
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            return
        for line in text.splitlines():
            self.take(line)

    def take(self, line: str) -> None:
        """Takes in one line."""
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            return
        for word in words[1:] if words[:1] == ["export"] else words:
            assignment = ASSIGNMENT.fullmatch(word)
            if assignment is None:
                return
            self.values[assignment[1]] = VARIABLE.sub(lambda used: self.get(used[1] or used[2]), assignment[2])

    def get(self, name: str) -> str:
        """The value of a variable, "" where nothing sets it."""
        return self.values.get(name) or self.environment.get(name) or DEFAULTS.get(name, "")

    @property
    def is_verbose(self) -> bool:
        """Whether the tool is to tell what it does (VERBOSE)."""
        return self.get("VERBOSE") not in ("0", "no")

    def address_of(self, user: str) -> str:
        """`user` with the default domain where it has none and there is one."""
        domain = self.get("SIP_DOMAIN")
        return f"{user}@{domain}" if domain and "@" not in user else user
