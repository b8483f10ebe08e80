"""Delta's deletion vectors, read and written: the positions of a file's rows that are deleted.

The format is in Delta's protocol ("Deletion Vector Format"), that of the bitmaps in roaringbitmap.org's
specification. What is written here stands in the log itself (`storageType` i), in containers without runs.
"""

from __future__ import annotations

import base64
import struct
import uuid
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

MAGIC = 1681511377
NO_RUNS, RUNS = 12346, 12347
MOST_IN_ARRAY = 4096
FEW = 4  # with fewer containers, a bitmap with runs has no offsets
_PYTHON = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
TO_PYTHON, TO_Z85 = str.maketrans(_Z85, _PYTHON), str.maketrans(_PYTHON, _Z85)


def positions(vector: dict[str, Any], table: Path) -> list[int]:
    """The positions that a deletion vector deletes, ascending; ValueError for an unknown kind."""
    kind, place = vector["storageType"], vector["pathOrInlineDv"]
    if kind == "i":
        return _positions(_from_z85(place)[: vector["sizeInBytes"]])
    if kind != "u":
        raise ValueError(f"a deletion vector of kind '{kind}'")
    name = uuid.UUID(bytes=_from_z85(place[-20:]))
    file = table / place[:-20] / f"deletion_vector_{name}.bin"
    data = file.read_bytes()
    at = vector.get("offset") or 1
    (size,) = struct.unpack_from(">i", data, at)
    return _positions(data[at + 4 : at + 4 + size])


def inline_vector(deleted: Iterable[int]) -> dict[str, Any] | None:
    """The deletion vector of these positions, as it stands in a log; None if there are none."""
    found = sorted(set(deleted))
    if not found:
        return None
    high = [(key, list(group)) for key, group in groupby(found, lambda position: position >> 32)]
    data = struct.pack("<iq", MAGIC, len(high))
    for key, group in high:
        data += struct.pack("<I", key) + _bitmap([position & 0xFFFFFFFF for position in group])
    return {
        "storageType": "i",
        "pathOrInlineDv": _to_z85(data),
        "sizeInBytes": len(data),
        "cardinality": len(found),
    }


def _positions(data: bytes) -> list[int]:
    (magic,) = struct.unpack_from("<i", data, 0)
    if magic != MAGIC:
        raise ValueError("a deletion vector in an unknown format")
    (bitmaps,) = struct.unpack_from("<q", data, 4)
    at, found = 12, []
    for _ in range(bitmaps):
        (key,) = struct.unpack_from("<I", data, at)
        values, at = _values(data, at + 4)
        found += [(key << 32) | value for value in values]
    return found


def _values(data: bytes, at: int) -> tuple[list[int], int]:
    """The values of one bitmap of 32 bits, and where it ends."""
    (cookie,) = struct.unpack_from("<I", data, at)
    at += 4
    with_runs = b""
    if cookie & 0xFFFF == RUNS:
        size = (cookie >> 16) + 1
        with_runs = data[at : at + (size + 7) // 8]
        at += len(with_runs)
    elif cookie == NO_RUNS:
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
    else:
        raise ValueError("a bitmap in an unknown format")
    headers = [struct.unpack_from("<HH", data, at + 4 * number) for number in range(size)]
    at += 4 * size
    if not with_runs or size >= FEW:
        at += 4 * size  # offsets
    found: list[int] = []
    for number, (key, less_one) in enumerate(headers):
        base, count = key << 16, less_one + 1
        if with_runs and with_runs[number // 8] >> number % 8 & 1:
            (runs,) = struct.unpack_from("<H", data, at)
            pairs = struct.unpack_from(f"<{2 * runs}H", data, at + 2)
            for start, length in zip(pairs[::2], pairs[1::2], strict=True):
                found += range(base + start, base + start + length + 1)
            at += 2 + 4 * runs
        elif count <= MOST_IN_ARRAY:
            found += [base + value for value in struct.unpack_from(f"<{count}H", data, at)]
            at += 2 * count
        else:
            bits = int.from_bytes(data[at : at + 8192], "little")
            found += [base + bit for bit in range(65536) if bits >> bit & 1]
            at += 8192
    return found, at


def _bitmap(values: list[int]) -> bytes:
    """One bitmap of 32 bits with these ascending values."""
    groups = [(key, [v & 0xFFFF for v in group]) for key, group in groupby(values, lambda value: value >> 16)]
    start = 8 + 8 * len(groups)
    headers, offsets, bodies = b"", b"", b""
    for key, group in groups:
        headers += struct.pack("<HH", key, len(group) - 1)
        offsets += struct.pack("<I", start + len(bodies))
        if len(group) <= MOST_IN_ARRAY:
            bodies += struct.pack(f"<{len(group)}H", *group)
        else:
            bits = bytearray(8192)
            for value in group:
                bits[value // 8] |= 1 << value % 8
            bodies += bytes(bits)
    return struct.pack("<II", NO_RUNS, len(groups)) + headers + offsets + bodies


def _from_z85(text: str) -> bytes:
    return base64.b85decode(text.translate(TO_PYTHON))


def _to_z85(data: bytes) -> str:
    padded = data + bytes(-len(data) % 4)
    return base64.b85encode(padded).decode().translate(TO_Z85)
