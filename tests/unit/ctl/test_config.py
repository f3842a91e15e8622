"""openserctlrc: which value wins, and what of a shell's language is understood."""

from pathlib import Path

import pytest

from openserd.ctl.config import Settings


def settings(text: str, **environment: str) -> Settings:
    found = Settings((), environment)
    for line in text.splitlines():
        found.take(line)
    return found


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("OSER_FIFO=/run/fifo", "/run/fifo"),
        ('OSER_FIFO="/run/my fifo"', "/run/my fifo"),
        ("  export OSER_FIFO='/run/fifo'  # where it is", "/run/fifo"),
        ("OSER_FIFO=$HOME/fifo", "/home/me/fifo"),
        ('OSER_FIFO="${HOME}/fifo"', "/home/me/fifo"),
        ("# OSER_FIFO=/other", "/tmp/openser_fifo"),
        ("OSER_FIFO=", "/tmp/openser_fifo"),
        ('OSER_FIFO="unclosed', "/tmp/openser_fifo"),
        ("if [ -f x ]; then OSER_FIFO=/x; fi", "/tmp/openser_fifo"),
    ],
)
def test_a_line_sets_what_a_shell_would_set(line: str, value: str) -> None:
    assert settings(line, HOME="/home/me").get("OSER_FIFO") == value


def test_files_win_over_the_environment_and_later_files_over_earlier(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("OSER_FIFO=/a\nUL_TABLE=a\n")
    (tmp_path / "b").write_text("OSER_FIFO=/b\n")
    files = [str(tmp_path / name) for name in ("a", "none", "b")]
    found = Settings(files, {"OSER_FIFO": "/env", "SIP_DOMAIN": "env.example"})
    assert [found.get(name) for name in ("OSER_FIFO", "UL_TABLE", "SIP_DOMAIN")] == ["/b", "a", "env.example"]


def test_what_nothing_sets_has_its_default_or_is_empty() -> None:
    found = settings("")
    assert (found.get("OSER_FIFO"), found.get("UL_TABLE"), found.get("X")) == (
        "/tmp/openser_fifo",
        "location",
        "",
    )


def test_a_user_gets_the_default_domain_where_there_is_one() -> None:
    assert settings("SIP_DOMAIN=a.b").address_of("joe") == "joe@a.b"
    assert settings("SIP_DOMAIN=a.b").address_of("joe@c.d") == "joe@c.d"
    assert settings("").address_of("joe") == "joe"
