"""The .zst files that Ingot writes: zstd frames led by a skippable frame that names size and digest of the content.

Any zstd tool unpacks them and passes over the first frame; `unpack` reads it and refuses a content that differs.
"""

import hashlib
import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingot.errors import InputError

MAGIC = 0x184D2A50  # first of the skippable frames, RFC 8878 section 3.1.2
BLOCK = 1 << 20
PACKED_BLOCK = (
    1 << 14
)  # zstd packs no more than some 32,000 bytes into one, so this unpacks to half a gigabyte at worst


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack_file(source: Path, target: Path, level: int, threads: int) -> dict[str, Any]:
    """Compress a file in a stream with `threads` threads; return {"sha256", "bytes"} of what was packed.

    zstd gives the same bytes for any number of worker threads from one up.
    """
    import zstandard

    facts: dict[str, Any] = {"sha256": sha256(source), "bytes": source.stat().st_size}
    header = json.dumps(facts).encode()
    compressor = zstandard.ZstdCompressor(level=level, threads=max(1, threads), write_checksum=True)
    with open(source, "rb") as reader, open(target, "wb") as writer:
        writer.write(struct.pack("<II", MAGIC, len(header)) + header)
        compressor.copy_stream(reader, writer, size=facts["bytes"])
    return facts


def read_header(packed: Path) -> tuple[dict[str, Any], int]:
    """Return size and digest that a packed file promises, and where its content starts."""
    with open(packed, "rb") as file:
        start = file.read(8)
        try:
            magic, length = struct.unpack("<II", start)
            facts = json.loads(file.read(length)) if magic == MAGIC and length < BLOCK else None
        except (struct.error, ValueError):
            facts = None
    if not isinstance(facts, dict) or set(facts) != {"sha256", "bytes"} or type(facts["bytes"]) is not int:
        raise InputError(f"{packed}: not packed by Ingot, or damaged in its first {8 + len(start)} bytes")
    return facts, 8 + length


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


def unpack_file(packed: Path, target: Path) -> None:
    """Unpack to `target` and refuse, leaving nothing there, a content whose size or digest is not the promised one."""
    facts, start = read_header(packed)
    if facts["bytes"] > (free := shutil.disk_usage(target.parent).free):
        raise InputError(f"{packed}: promises {facts['bytes']} bytes, and {target.parent} has room for {free}")
    partial = target.with_name(f".{target.name}.partial")
    digest, size = hashlib.sha256(), 0
    try:
        with open(partial, "wb") as file:
            for block in blocks(packed, start):
                size += len(block)
                if size > facts["bytes"]:
                    raise InputError(f"{packed}: unpacks to more than the promised {facts['bytes']} bytes; refused")
                digest.update(block)
                file.write(block)
        if size != facts["bytes"]:
            raise InputError(f"{packed}: cut off: {size} of {facts['bytes']} bytes unpacked; fetch it again")
        if digest.hexdigest() != facts["sha256"]:
            raise InputError(f"{packed}: content has SHA-256 {digest.hexdigest()}, promised {facts['sha256']}; refused")
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
