"""openserctl tls: a certificate authority for tests, and certificates that it signs, made by the program openssl.

    ETCDIR/tls/rootCA/cacert.pem            the authority's certificate
    ETCDIR/tls/rootCA/private/cakey.pem     its key
    ETCDIR/tls/NAME/NAME-cert.pem           a certificate, its key and the authorities that it goes by
    ETCDIR/tls/NAME/NAME-privkey.pem
    ETCDIR/tls/NAME/NAME-calist.pem

The files are named as those of OpenSER's tool; keys have no passphrase, as a server that starts by itself needs them.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.tables import fail

NAME: Final = re.compile(r"(?!rootCA\Z)[A-Za-z0-9][A-Za-z0-9._@\-]*")
DAYS_OF_AUTHORITY: Final = 3650
DAYS_OF_CERTIFICATE: Final = 365


def openssl(*words: str) -> None:
    """Runs openssl. Raises click.ClickException."""
    if shutil.which("openssl") is None:
        fail("the program openssl is needed and not there (apt-get install openssl)")
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        fail(f"openssl {words[0]} failed: {lines[-1] if lines else done.returncode}")


def folder(control: Control, etcdir: str | None) -> Path:
    """Where all of this is."""
    return Path(etcdir or control.settings.get("ETCDIR")) / "tls"


def make_folder(path: Path) -> None:
    """Makes a folder that only its owner looks into. Raises click.ClickException."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        fail(f"{path} is there already; nothing has been changed")
    except OSError as error:
        fail(f"{path}: {error.strerror}")


@click.group()
def tls() -> None:
    """Make certificates for tests."""


@tls.command("rootCA")
@click.argument("etcdir", required=False)
@pass_control
def root_ca(control: Control, etcdir: str | None) -> None:
    """Make a certificate authority for tests in ETCDIR/tls/rootCA."""
    authority = folder(control, etcdir) / "rootCA"
    make_folder(authority)
    make_folder(authority / "private")
    key, certificate = authority / "private" / "cakey.pem", authority / "cacert.pem"
    with private_files():
        openssl(
            "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-sha256", "-days", str(DAYS_OF_AUTHORITY),
            "-subj", "/O=openserd/CN=Test certificate authority", "-keyout", str(key), "-out", str(certificate),
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
    click.echo(f"{certificate} and its key {key} made: for tests, not for strangers")


@tls.command("userCERT")
@click.argument("name", metavar="USER")
@click.argument("etcdir", required=False)
@pass_control
def user_cert(control: Control, name: str, etcdir: str | None) -> None:
    """Make a certificate for USER, a user or the name of a host, signed by the authority that `tls rootCA` made."""
    if NAME.fullmatch(name) is None:
        raise click.UsageError(f"{name!r} cannot be the name of a user or host")
    base = folder(control, etcdir)
    authority = base / "rootCA"
    if not (authority / "private" / "cakey.pem").exists():
        fail(f"there is no authority in {authority}; `openserctl tls rootCA` makes one")
    make_folder(base / name)
    certificate, key, authorities = (base / name / f"{name}-{kind}.pem" for kind in ("cert", "privkey", "calist"))
    with private_files(), tempfile.TemporaryDirectory() as work:
        request, extensions = f"{work}/request.pem", Path(work, "extensions")
        kind = f"URI:sip:{name}" if "@" in name else f"DNS:{name}"
        extensions.write_text(
            f"subjectAltName={kind}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-sha256", "-subj", f"/O=openserd/CN={name}",
                "-keyout", str(key), "-out", request)  # fmt: skip
        openssl(
            "x509", "-req", "-in", request, "-sha256", "-days", str(DAYS_OF_CERTIFICATE), "-extfile", str(extensions),
            "-CA", str(authority / "cacert.pem"), "-CAkey", str(authority / "private" / "cakey.pem"),
            "-CAserial", str(authority / "serial"), "-CAcreateserial", "-out", str(certificate),
        )  # fmt: skip
        shutil.copyfile(authority / "cacert.pem", authorities)
    click.echo(f"{certificate}, {key} and {authorities} made")


class private_files:
    """In this block new files are their owner's alone."""

    def __enter__(self) -> None:
        self.before = os.umask(0o077)

    def __exit__(self, *_: object) -> None:
        os.umask(self.before)
