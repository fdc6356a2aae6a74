"""The .zst files that Ingot writes: zstd frames led by a skippable frame that says what is in them.

It names size and digest of the content. Any zstd tool unpacks such a file and passes over the first frame; `unpack`
reads it and refuses a content that differs. Where `segments` are named, the frames hold the content in the order of
`ingot.io.planes`, which only `unpack` turns back: each segment is a kind and a number of bytes.
"""

import hashlib
import json
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io import planes

MAGIC = 0x184D2A50  # first of the skippable frames, RFC 8878 section 3.1.2
BLOCK = 1 << 20
PACKED_BLOCK = (
    1 << 14
)  # zstd packs no more than some 32,000 bytes into one, so this unpacks to half a gigabyte at worst
Segment = tuple[str, int]
"""Its kind and its bytes."""


@dataclass(frozen=True)
class Header:
    """What a packed file says of its content."""

    sha256: str
    bytes: int
    segments: list[Segment]
    start: int
    """Where the content starts."""

    @property
    def promise(self) -> dict[str, Any]:
        """The digest and the size that the content has once it is unpacked."""
        return {"sha256": self.sha256, "bytes": self.bytes}


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack_file(
    source: Path, target: Path, level: int, threads: int, segments: list[Segment] | None = None
) -> dict[str, Any]:
    """Compress a file in a stream with `threads` threads; return {"sha256", "bytes"} of what was packed.

    zstd gives the same bytes for any number of worker threads from one up. `segments` cover the whole file, if any are
    named.
    """
    import zstandard

    facts: dict[str, Any] = {"sha256": sha256(source), "bytes": source.stat().st_size}
    header = json.dumps(facts | ({"segments": segments} if segments else {})).encode()
    turned = segments or [(planes.RAW, facts["bytes"])]
    compressor = zstandard.ZstdCompressor(level=level, threads=max(1, threads), write_checksum=True)
    with open(source, "rb") as reader, open(target, "wb") as writer:
        writer.write(struct.pack("<II", MAGIC, len(header)) + header)
        size = sum(planes.split_size(kind, count) for kind, count in chunks(turned))
        with compressor.stream_writer(writer, size=size, closefd=False) as packing:
            for kind, count in chunks(turned):
                packing.write(planes.split(kind, reader.read(count)))
    return facts


def chunks(segments: list[Segment]) -> Iterator[Segment]:
    """Cut segments into what is turned at a time."""
    for kind, count in segments:
        yield from ((kind, part) for part in planes.chunks_of(kind, count))


def read_header(packed: Path) -> Header:
    """Read what a packed file says of its content. InputError if that cannot be."""
    with open(packed, "rb") as file:
        start, end = file.read(8), 8
        try:
            magic, length = struct.unpack("<II", start)
            end += length if magic == MAGIC and length < BLOCK else 0
            facts = json.loads(file.read(length)) if magic == MAGIC and length < BLOCK else None
        except (struct.error, ValueError):
            facts = None
    if isinstance(facts, dict) and set(facts) - {"segments"} == {"sha256", "bytes"} and type(facts["bytes"]) is int:
        named = facts.get("segments", [[planes.RAW, facts["bytes"]]] if facts["bytes"] else [])
        if isinstance(named, list) and all(isinstance(one, list) and len(one) == 2 for one in named):
            segments = [(kind, count) for kind, count in named if planes.is_kind(kind, count)]
            if len(segments) == len(named) and sum(count for _, count in segments) == facts["bytes"]:
                return Header(str(facts["sha256"]), facts["bytes"], segments, 8 + length)
    raise InputError(f"{packed}: not packed by Ingot, or damaged in its first {end} bytes")


def blocks(packed: Path, start: int) -> Iterator[bytes]:
    """Yield the unpacked content block by block; InputError names the offset of damage."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor().decompressobj()
    with open(packed, "rb") as file:
        file.seek(start)
        try:
            while not decompressor.eof and (block := file.read(PACKED_BLOCK)):
                yield decompressor.decompress(block)
        except zstandard.ZstdError as error:
            raise InputError(f"{packed}: damaged near byte {file.tell()} ({error}); fetch it again") from None
        end = file.tell() - len(decompressor.unused_data)
        if not decompressor.eof:
            raise InputError(f"{packed}: cut off after byte {end}; fetch it again")
        if end != packed.stat().st_size:
            raise InputError(f"{packed}: something else follows after byte {end}; fetch it again")


def turned_back(unpacked: Iterator[bytes], header: Header, packed: Path) -> Iterator[bytes]:
    """Yield the content of a file, chunk by chunk, from what its frames hold. InputError if that cannot be it."""
    if all(kind == planes.RAW for kind, _ in header.segments):
        yield from unpacked
        return
    waiting, made = bytearray(), 0
    for kind, count in chunks(header.segments):
        needed = planes.split_size(kind, count)
        while len(waiting) < needed and (more := next(unpacked, None)) is not None:
            waiting += more
        if len(waiting) < needed:
            raise InputError(f"{packed}: cut off before byte {made + count} of its content; fetch it again")
        try:
            yield planes.join(kind, bytes(waiting[:needed]), count)
        except InputError as error:
            where = f"bytes {made} to {made + count} of its content"
            raise InputError(f"{packed}: damaged in {where}: {error}; fetch it again") from None
        made += count
        del waiting[:needed]
    yield from ([bytes(waiting)] if waiting else [])
    yield from unpacked


def unpack_file(packed: Path, target: Path) -> None:
    """Unpack to `target` and refuse, leaving nothing there, a content whose size or digest is not the promised one."""
    header = read_header(packed)
    if header.bytes > (free := shutil.disk_usage(target.parent).free):
        raise InputError(f"{packed}: promises {header.bytes} bytes, and {target.parent} has room for {free}")
    partial = target.with_name(f".{target.name}.partial")
    digest, size = hashlib.sha256(), 0
    try:
        with open(partial, "wb") as file:
            for block in turned_back(blocks(packed, header.start), header, packed):
                size += len(block)
                if size > header.bytes:
                    raise InputError(f"{packed}: unpacks to more than the promised {header.bytes} bytes; refused")
                digest.update(block)
                file.write(block)
        if size != header.bytes:
            raise InputError(f"{packed}: cut off: {size} of {header.bytes} bytes unpacked; fetch it again")
        if digest.hexdigest() != header.sha256:
            raise InputError(f"{packed}: content has SHA-256 {digest.hexdigest()}, promised {header.sha256}; refused")
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
