"""Records: a class whose annotated fields are at the same time its layout in bytes.

    @dataclass(slots=True)
    class Binding(Record):
        expires: U32            # seconds since 1970
        flags: U32
        last_reply: Ref         # 0 none
        contact: Bytes

A record in bytes is little-endian and without padding:

    fixed part    the fields of fixed width in the order they are declared, then a u32 length for each Bytes field
    the bytes     of each Bytes field in the order they are declared

`layout()` prints the map.  A Ref is a reference to a blob that the record owns: `refs` finds it in the packed bytes,
so that the sweep of shared memory knows it is in use.  Records may follow each other without a separator.

Measured (Debian's Python 3.11), 10 fields of which 3 are Bytes: pack 0.4 us, unpack 0.75 us.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self, get_type_hints

LENGTH: Final = "I"


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is stored: a code of `struct`, "" for bytes of any length."""

    code: str
    is_ref: bool = False


U8 = Annotated[int, Field("B")]
U16 = Annotated[int, Field("H")]
U32 = Annotated[int, Field("I")]
U64 = Annotated[int, Field("Q")]
I32 = Annotated[int, Field("i")]
I64 = Annotated[int, Field("q")]
F64 = Annotated[float, Field("d")]
Ref = Annotated[int, Field("I", is_ref=True)]
Bytes = Annotated[bytes, Field("")]


class Codec:
    """What a record class has worked out about its layout, once.

    `pack(record)` gives bytes, `unpack(cls, buf, offset)` a record and where it ends, `unpack_many(cls, buf, offset)`
    all records up to the end, `blank(cls)` one of zeros and empty bytes; they are written out for the class, field by
    field, as `dataclass` does: 1.6 -> 0.4 us, 2.0 -> 0.75 us and (against a call with a name for each field)
    0.7 -> 0.2 us for ten fields, `bench/shm.py`.
    """

    __slots__ = (
        "blank",
        "fields",
        "fixed",
        "length_struct",
        "n_fixed",
        "names",
        "pack",
        "ref_struct",
        "struct",
        "unpack",
        "unpack_many",
    )

    def __init__(self, fields: Sequence[tuple[str, Field]]) -> None:
        self.fields: Final = tuple(fields)
        self.fixed: Final = tuple((name, field) for name, field in fields if field.code)
        self.names: Final = tuple(name for name, field in fields if not field.code)  #: the Bytes fields
        self.n_fixed: Final = len(self.fixed)
        codes = "".join(field.code for _, field in self.fixed)
        self.struct: Final = struct.Struct("<" + codes + LENGTH * len(self.names))
        self.length_struct: Final = struct.Struct("<" + LENGTH * len(self.names))
        self.ref_struct: Final = _ref_struct(self.fixed)
        made: dict[str, Any] = {"pack_fixed": self.struct.pack, "unpack_fixed": self.struct.unpack_from}
        made |= {"new": object.__new__, "error": struct.error, "size": self.struct.size, "join": b"".join}
        exec(self.source(), made)
        self.pack: Final[Callable[[Any], bytes]] = made["pack"]
        self.unpack: Final[Callable[[Any, bytes, int], tuple[Any, int]]] = made["unpack"]
        self.unpack_many: Final[Callable[[Any, bytes, int], list[Any]]] = made["unpack_many"]
        self.blank: Final[Callable[[Any], Any]] = made["blank"]

    def source(self) -> str:
        """Python text of the four functions."""
        lengths = [f"n_{name}" for name in self.names]
        packed = [f"record.{name}" for name, _ in self.fixed] + [f"len(b_{name})" for name in self.names]
        read = [f"record.{name}" for name, _ in self.fixed] + lengths
        given = [f"    record.{name} = buf[s_{name}:e_{name}]" for name in self.names]
        lines = ["def pack(record):"]
        lines += [f"    b_{name} = record.{name}" for name in self.names]
        head = f"pack_fixed({', '.join(packed)})"
        parts = "".join(f", b_{name}" for name in self.names)
        lines += [f"    return join(({head}{parts}))" if self.names else f"    return {head}"]
        lines += ["def unpack(cls, buf, offset=0):", "    record = new(cls)"]
        lines += [f"    {', '.join(read)}, = unpack_fixed(buf, offset)"]
        end = "offset + size"
        for name in self.names:
            lines += [f"    s_{name} = {end}", f"    e_{name} = s_{name} + n_{name}"]
            end = f"e_{name}"
        if self.names:
            lines += [f"    if {end} > len(buf):", "        raise error(f'{cls.__name__}: bytes cut short')"]
        lines += [*given, f"    return record, {end}"]
        lines += ["def unpack_many(cls, buf, offset=0):", "    records = []", "    end = len(buf)"]
        lines += ["    while offset < end:", "        record, offset = unpack(cls, buf, offset)"]
        lines += ["        records.append(record)", "    return records"]
        lines += ["def blank(cls):", "    record = new(cls)"]
        lines += [f"    {' = '.join(f'record.{name}' for name, _ in self.fixed)} = 0"] if self.fixed else []
        lines += [f"    {' = '.join(f'record.{name}' for name in self.names)} = b''"] if self.names else []
        lines += ["    return record", ""]
        return "\n".join(lines)


class Record:
    """Base of all records; a subclass is a dataclass whose fields have the types of this file."""

    __slots__ = ()

    _codec: ClassVar[Codec]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        codec = cls._codec = Codec(_fields(cls))
        for function in (codec.pack, codec.unpack, codec.unpack_many, codec.blank):
            function.__module__ = cls.__module__
            function.__qualname__ = f"{cls.__qualname__}.{function.__name__}"
        # The functions themselves are the methods: a call fewer each time.
        cls.pack = codec.pack  # type: ignore[assignment]
        cls.unpack_from = classmethod(codec.unpack)  # type: ignore[assignment]
        cls.unpack_many = classmethod(codec.unpack_many)  # type: ignore[assignment]
        cls.blank = classmethod(codec.blank)  # type: ignore[assignment]

    @property
    def size(self) -> int:
        """Length in bytes when packed."""
        codec = self._codec
        return codec.struct.size + sum(len(getattr(self, name)) for name in codec.names)

    def pack(self) -> bytes:
        """The record in bytes.  struct.error when a value does not fit its field."""
        return self._codec.pack(self)

    @classmethod
    def blank(cls) -> Self:
        """A record whose fields are 0 or empty."""
        record: Self = cls._codec.blank(cls)
        return record

    @classmethod
    def unpack(cls, buf: bytes, offset: int = 0) -> Self:
        """The record that begins at byte `offset`.  struct.error when `buf` is too short."""
        record: Self = cls._codec.unpack(cls, buf, offset)[0]
        return record

    @classmethod
    def unpack_from(cls, buf: bytes, offset: int = 0) -> tuple[Self, int]:
        """The record that begins at byte `offset`, and the offset of the byte after it."""
        return cls._codec.unpack(cls, buf, offset)

    @classmethod
    def pack_many(cls, records: Iterable[Self]) -> bytes:
        """Records behind each other."""
        return b"".join(map(cls._codec.pack, records))

    @classmethod
    def unpack_many(cls, buf: bytes, offset: int = 0) -> list[Self]:
        """All records from byte `offset` to the end."""
        records: list[Self] = cls._codec.unpack_many(cls, buf, offset)
        return records

    @classmethod
    def refs(cls, buf: bytes, offset: int = 0) -> list[int]:
        """The blobs that the packed record at `offset` owns; without unpacking it."""
        codec = cls._codec
        if codec.ref_struct is None:
            return []
        return [ref for ref in codec.ref_struct.unpack_from(buf, offset) if ref]

    @classmethod
    def refs_from(cls, buf: bytes, offset: int = 0) -> tuple[list[int], int]:
        """The blobs that the packed record at `offset` owns, and the offset of the byte after it."""
        codec = cls._codec
        found = [] if codec.ref_struct is None else [ref for ref in codec.ref_struct.unpack_from(buf, offset) if ref]
        end = offset + codec.struct.size
        return found, end + sum(codec.length_struct.unpack_from(buf, end - codec.length_struct.size))

    @classmethod
    def refs_many(cls, buf: bytes, offset: int = 0) -> list[int]:
        """The blobs that all records from byte `offset` to the end own."""
        codec = cls._codec
        found: list[int] = []
        while codec.ref_struct is not None and offset < len(buf):
            found += cls.refs(buf, offset)
            offset += codec.struct.size + sum(codec.struct.unpack_from(buf, offset)[codec.n_fixed :])
        return found

    @classmethod
    def layout(cls) -> str:
        """The byte map, one line a field: offset, width, name."""
        rows = []
        offset = 0
        for name, field in cls._codec.fixed:
            width = struct.calcsize("<" + field.code)
            rows.append((str(offset), str(width), name + (" (blob)" if field.is_ref else "")))
            offset += width
        names = cls._codec.names
        for name in names:
            rows.append((str(offset), "4", f"length of {name}"))
            offset += 4
        rows += [(str(offset) if i == 0 else "", "n", name) for i, name in enumerate(names)]
        return "\n".join(f"{start:>6}  {width:>5}  {name}" for start, width, name in rows)


def _fields(cls: type) -> list[tuple[str, Field]]:
    """(name, how it is stored) of each annotated field, base classes first.  TypeError for any other type."""
    fields = []
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if getattr(hint, "__origin__", None) is ClassVar:
            continue
        kinds = [kind for kind in getattr(hint, "__metadata__", ()) if isinstance(kind, Field)]
        if len(kinds) != 1:
            raise TypeError(f"{cls.__name__}.{name}: {hint} is no type of a record")
        fields.append((name, kinds[0]))
    return fields


def _ref_struct(fixed: Sequence[tuple[str, Field]]) -> struct.Struct | None:
    """A struct that reads the Ref fields and skips the others; None when there are none."""
    if not any(field.is_ref for _, field in fixed):
        return None
    codes = [field.code if field.is_ref else f"{struct.calcsize('<' + field.code)}x" for _, field in fixed]
    return struct.Struct("<" + "".join(codes))
