"""AVPs: the values a script attaches to a message and, through tm, to its transaction.

A list of (name, value, flags), oldest first; reading goes from the newest, which is the order OpenSER's
scripts rely on (behaviour of usr_avp.c).  A name is a number or text, and so is a value; the two kinds never
match each other. `flags` is a mask of classes: `$avp(i3:42)` writes class 3 and reads only what carries it,
`$avp(i:42)` reads all.

Packed, to travel with a transaction, each AVP is three fields, flags, name and value, oldest AVP first:

    offset  width  field
    0       1      b"i" a number in decimal, b"s" text
    1       4      length of what follows, big endian
    5       n      the number's digits or the text
"""

from typing import Final

Name = int | bytes
AvpValue = int | bytes
Avp = tuple[Name, AvpValue, int]

_NUMBER: Final = 0x69
_HEAD: Final = 5


class AvpList(list[Avp]):
    """The AVPs of one message."""

    __slots__ = ()

    def add(self, name: Name, value: AvpValue, flags: int = 0) -> None:
        """Puts a value in front of those the name already has."""
        self.append((name, value, flags))

    def get(self, name: Name, flags: int = 0) -> AvpValue | None:
        """The newest value of `name`; with `flags`, the newest that carries one of them."""
        for known, value, classes in reversed(self):
            if known == name and (not flags or flags & classes):
                return value
        return None

    def all(self, name: Name, flags: int = 0) -> list[AvpValue]:
        """Every value of `name`, newest first."""
        return [value for value, _ in self.entries(name, flags)]

    def entries(self, name: Name, flags: int = 0) -> list[tuple[AvpValue, int]]:
        """Every value of `name` with its flags, newest first."""
        return [
            (value, classes)
            for known, value, classes in reversed(self)
            if known == name and (not flags or flags & classes)
        ]

    def drop(self, name: Name, all: bool = True, flags: int = 0) -> int:
        """Drops every value of `name`, or the newest one; returns how many went."""
        dropped = self.matching(name, flags)
        if not all:
            del dropped[1:]
        for avp in dropped:
            self.discard(avp)
        return len(dropped)

    def matching(self, name: Name, flags: int = 0) -> list[Avp]:
        """The AVPs of `name` themselves, newest first."""
        return [avp for avp in reversed(self) if avp[0] == name and (not flags or flags & avp[2])]

    def discard(self, avp: Avp) -> None:
        """Drops this very AVP, not another that equals it."""
        self.put(avp)

    def put(self, avp: Avp, *replacement: Avp) -> None:
        """Puts another AVP, or nothing, in the place of this very one."""
        for index, known in enumerate(self):
            if known is avp:
                self[index : index + 1] = replacement
                return

    def pack(self) -> bytes:
        """The AVPs as bytes; nothing for none."""
        parts: list[bytes] = []
        for name, value, flags in self:
            for field in (flags, name, value):
                kind, text = (b"s", field) if isinstance(field, bytes) else (b"i", b"%d" % field)
                parts += (kind, len(text).to_bytes(4, "big"), text)
        return b"".join(parts)

    @classmethod
    def unpack(cls, packed: bytes) -> "AvpList":
        """The list that `pack` made these bytes of."""
        if not packed:
            return cls()
        fields: list[AvpValue] = []
        start, end = 0, len(packed)
        while start < end:
            first = start + _HEAD
            last = first + int.from_bytes(packed[start + 1 : first], "big")
            text = packed[first:last]
            fields.append(int(text) if packed[start] == _NUMBER else text)
            start = last
        assert start == end and len(fields) % 3 == 0, "packed AVPs are damaged"
        return cls(
            [
                (name, value, int(flags))
                for flags, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True)
            ]
        )
