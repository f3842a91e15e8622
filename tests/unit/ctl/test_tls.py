"""openserctl tls: certificates by the real program openssl."""

import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from tests.unit.ctl.support import Ctl

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    return Ctl("", rc=f"ETCDIR={tmp_path}")


def handshake(server: tuple[Path, Path], trusted: Path, name: str) -> None:
    """A server with these files and a client that trusts `trusted` agree, in memory. Raises ssl.SSLError."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(*server)
    theirs = ssl.create_default_context(cafile=str(trusted))
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        theirs.wrap_bio(one, other, server_hostname=name),
        ours.wrap_bio(other, one, server_side=True),
    ]
    waiting = True
    while waiting:
        waiting = False
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waiting = True


def test_a_host_shows_a_certificate_that_the_authority_has_signed(ctl: Ctl, tmp_path: Path) -> None:
    ctl.run("tls", "rootCA")
    ctl.run("tls", "userCERT", "sip.example.com")
    own = tmp_path / "tls" / "sip.example.com"
    files = own / "sip.example.com-cert.pem", own / "sip.example.com-privkey.pem"
    trusted = own / "sip.example.com-calist.pem"
    handshake(files, trusted, "sip.example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, trusted, "other.example.com")
    keys = [files[1], tmp_path / "tls" / "rootCA" / "private" / "cakey.pem"]
    assert [stat.S_IMODE(key.stat().st_mode) for key in keys] == [0o600, 0o600]


def test_a_user_is_named_by_a_uri(ctl: Ctl, tmp_path: Path) -> None:
    ctl.run("tls", "rootCA", str(tmp_path / "other"))
    ctl.run("tls", "userCERT", "alice@example.com", str(tmp_path / "other"))
    certificate = tmp_path / "other" / "tls" / "alice@example.com" / "alice@example.com-cert.pem"
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(certificate), "-noout", "-text"], capture_output=True, text=True, check=True
    )
    assert "URI:sip:alice@example.com" in shown.stdout


def test_nothing_is_overwritten(ctl: Ctl, tmp_path: Path) -> None:
    ctl.run("tls", "rootCA")
    before = (tmp_path / "tls" / "rootCA" / "cacert.pem").read_bytes()
    assert "there already" in ctl.run("tls", "rootCA", code=1).output
    assert (tmp_path / "tls" / "rootCA" / "cacert.pem").read_bytes() == before
    ctl.run("tls", "userCERT", "alice")
    assert "there already" in ctl.run("tls", "userCERT", "alice", code=1).output


@pytest.mark.parametrize("name", ["../evil", "rootCA", "-x", "a/b", ""])
def test_a_name_that_is_none_is_refused(ctl: Ctl, name: str) -> None:
    ctl.run("tls", "rootCA")
    ctl.run("tls", "userCERT", "--", name, code=2)


def test_without_an_authority_there_is_no_certificate(ctl: Ctl) -> None:
    assert "tls rootCA" in ctl.run("tls", "userCERT", "alice", code=1).output
