"""Bytes to SIP and back: pure functions and values that know no socket, clock or table."""
