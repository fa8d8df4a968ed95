"""Objects of a repository that may be broken or made to do harm: read with their kind known and their size bounded."""

import zlib
from pathlib import Path
from typing import Any, TypeVar

from dulwich.errors import ApplyDeltaError, ChecksumMismatch, FileFormatException, ObjectFormatException
from dulwich.objects import Commit, RawObjectID, ShaFile, Tree
from dulwich.pack import OFS_DELTA, REF_DELTA, Pack, UnresolvedDeltas
from dulwich.repo import Repo

MAX_OBJECT_BYTES = 10_000_000  # a tree of 200,000 files; what a version's files may have is less (contents.py)

_LONGEST_CHAIN = 10_000  # of deltas on deltas; git makes 50, at most 4,095
_HEADER_BYTES = 128  # more than the header of an object takes, and the two sizes in a delta
_BROKEN = (ApplyDeltaError, AssertionError, ChecksumMismatch, FileFormatException, UnresolvedDeltas, zlib.error)

Kind = TypeVar("Kind", bound=ShaFile)


def read_object(repository: Repo, pk: Any, kind: type[Kind]) -> Kind:
    """Raises ValueError where it is missing, broken, of another kind, or larger than MAX_OBJECT_BYTES, which is asked
    before it is inflated.
    """
    name = pk.decode(errors="replace")[:12]
    try:
        _refuse_size(repository.object_store, pk)
        found = _parsed(repository[pk])
    except KeyError as error:
        raise ValueError(f"the object {name} is not in the repository; expected all of its history.") from error
    except _BROKEN as error:
        raise ValueError(f"the object {name} cannot be read: {error or type(error).__name__}.") from error
    if isinstance(found, kind):
        return found
    raise ValueError(f"the object {name} is a {found.type_name.decode()}; expected a {kind.type_name.decode()}.")


def _parsed(found: ShaFile) -> ShaFile:
    """Of a commit and a tree the content is read when it is asked for: now, so that its faults show here."""
    if isinstance(found, Tree):
        found.items()
    if isinstance(found, Commit) and None in (found.tree, found.author, found.commit_time):
        raise ObjectFormatException("a commit without tree, author or time")
    return found


def _refuse_size(store: Any, pk: bytes, levels: int = 5) -> None:
    """Asked before anything else: dulwich inflates a loose object to say that it is there.

    Loose objects are inflated up to the limit and no further; packed ones say their size before it. Stores that borrow
    from others (`levels` deep, as in Git) are asked with these.
    """
    store.loose_object_size_limit = MAX_OBJECT_BYTES
    for pack in store.packs:
        if pk in pack:
            _refuse_packed(pack, Path(store.pack_dir) / pack.data.filename, pack.index.object_offset(pk))
    for alternate in store.alternates if levels else []:
        _refuse_size(alternate, pk, levels - 1)


def _refuse_packed(pack: Pack, path: Path, offset: int) -> None:
    """The object and all that its deltas come from."""
    place: int | None = offset
    with path.open("rb") as file:
        for _ in range(_LONGEST_CHAIN):
            if place is None:
                return
            file.seek(place)
            size, place = _packed(pack, place, file.read(_HEADER_BYTES))
            if size > MAX_OBJECT_BYTES:
                raise ValueError(f"an object has {size:,} bytes; expected at most {MAX_OBJECT_BYTES:,}.")
    raise ValueError(f"an object is a chain of more than {_LONGEST_CHAIN:,} deltas; expected fewer.")


def _packed(pack: Pack, place: int, data: bytes) -> tuple[int, int | None]:
    """Size, and the place of what it is a delta of, by gitformat-pack(5): a delta begins with the sizes of both."""
    header, rest = _number(data)
    kind, size = header[0] >> 4 & 7, (header[0] & 15) + (_little(header[1:]) << 4)
    if kind not in (OFS_DELTA, REF_DELTA):
        return size, None
    if kind == OFS_DELTA:
        back, rest = _number(rest)
        base = place - _offset(back)
    else:
        length = pack.data.object_format.oid_length
        base, rest = pack.index.object_offset(RawObjectID(rest[:length])), rest[length:]
    _, start = _number(zlib.decompressobj().decompress(rest, _HEADER_BYTES))
    return max(size, _little(_number(start)[0])), base


def _number(data: bytes) -> tuple[bytes, bytes]:
    """The bytes of a number, the last of which has its highest bit clear, and the rest."""
    end = next((place for place, byte in enumerate(data, 1) if not byte & 128), None)
    if end is None:
        raise ObjectFormatException("a number without an end")
    return data[:end], data[end:]


def _little(number: bytes) -> int:
    """Seven bits a byte, the lowest first."""
    return sum((byte & 127) << 7 * place for place, byte in enumerate(number))


def _offset(number: bytes) -> int:
    """Seven bits a byte, the highest first, each further byte with one more."""
    offset = number[0] & 127
    for byte in number[1:]:
        offset = (offset + 1 << 7) + (byte & 127)
    return offset
