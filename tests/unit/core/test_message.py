"""SipMsg: what modules keep with it."""

from tests.support.recording import request


def test_what_modules_attach_is_kept_by_name() -> None:
    msg = request()
    assert msg.attachments is None
    assert msg.attached("auth") == b""
    msg.attach("auth", b"1")
    msg.attach("other", b"2")
    msg.attach("auth", b"3")
    assert (msg.attached("auth"), msg.attached("other"), msg.attached("none")) == (b"3", b"2", b"")
