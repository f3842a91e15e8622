"""The words of the language: patterns of tokens, and what strings, numbers and bare words mean."""

import re
from typing import Final

from openserd.script.tree import Number, Text, Word

#: Parentheses nested up to four deep, as pseudo-variables and transformations need them.
_NESTED: Final = r"\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)"
STRING: Final = r'"(?:[^"\\]|\\[\s\S])*+"|\'[^\']*\''
VARIABLE: Final = rf"\$(?:\$|{_NESTED}|[A-Za-z_][\w.]*(?:{_NESTED})?(?:\[(?:-?\d+|\*)\])?)"
BARE: Final = r"(?:[A-Za-z]+:)?\[[0-9A-Fa-f:.]+\](?:[:/]\d+)?|(?:[-+][ \t]*)?[\w:](?:[\w.:/]|-(?=\w))*"
ARGUMENT: Final = f"{STRING}|{VARIABLE}|{BARE}"
OPERAND: Final = (
    r"(?:msg:len|from_uri|to_uri|uri|status|method|src_ip|dst_ip|src_port|dst_port|proto|af|retcode"
    r"|myself)\b(?!\s*\()"
)
BLOCK_KIND: Final = r"(?:failure_|onreply_|branch_|error_)?route"
BLOCK_HEAD: Final = re.compile(rf"{BLOCK_KIND}\s*(?:\[[^\]\n]*\]\s*)?\{{")

NUMBER: Final = re.compile(r"([-+]?)\s*(?:0[xX]([0-9A-Fa-f]+)|0([0-7]+)|(\d+))")
BOOLEANS: Final = {
    **dict.fromkeys(("yes", "true", "on", "enable"), 1),
    **dict.fromkeys(("no", "false", "off", "disable"), 0),
}
ESCAPE: Final = re.compile(r'\\(?:x([0-9A-Fa-f]{1,2})|0([0-7]{1,2})|(\r?\n)|([nrat"\\]))')
SIMPLE_ESCAPES: Final = {"n": "\n", "r": "\r", "a": "\a", "t": "\t", '"': '"', "\\": "\\"}


def read_number(written: str) -> int | None:
    """The integer that `written` stands for (decimal, 0x hexadecimal, 0 octal, a boolean word), None when none."""
    if written in BOOLEANS:
        return BOOLEANS[written]
    match = NUMBER.fullmatch(written)
    if match is None:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
    value = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal)
    return -value if sign == "-" else value


def one_byte(value: int) -> str:
    """The character that becomes this byte when text is encoded."""
    return chr(value) if value < 0x80 else chr(0xDC00 + value)


def unescape(match: re.Match[str]) -> str:
    """The text for one escape."""
    hexadecimal, octal, line_end, letter = match.groups()
    if hexadecimal or octal:
        return one_byte((int(hexadecimal, 16) if hexadecimal else int(octal, 8)) & 0xFF)
    return "" if line_end else SIMPLE_ESCAPES[letter]


def read_string(written: str) -> str:
    """The text of a string with its quotes; unknown escapes stay as they are, single quotes have none."""
    inner = written[1:-1]
    return ESCAPE.sub(unescape, inner) if written[0] == '"' and "\\" in inner else inner


def literal(written: str, start: int, end: int) -> Text | Number | Word:
    """The node for a string, a number or a bare word."""
    if written[0] in "\"'":
        return Text(start, end, read_string(written))
    number = read_number(written)
    return Word(start, end, written) if number is None else Number(start, end, number, written)
