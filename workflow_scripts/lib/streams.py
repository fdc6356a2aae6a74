"""Lines of a source file, plain or compressed, bounded in length and with damage named by file and offset."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from lib.records import InputError


def open_source(path: Path) -> IO[bytes]:
    """Open a source for reading bytes; .gz and .zst are unpacked on the way."""
    if not path.exists():
        raise InputError(f"{path}: no such source; correct `sources` in config.yaml")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the source is empty; remove it from `sources` or fill it")
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix == ".zst":
        import io

        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(open(path, "rb"), read_across_frames=True)  # noqa: SIM115
        return cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, reader)))
    return open(path, "rb")


def lines(path: Path, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield (number, line) of a source; a line of more than `limit` bytes is skipped and yielded as None.

    Raises InputError with the offset reached where a compressed file is damaged or cut off.
    """
    import zstandard

    number = 0
    offset = 0
    try:
        with open_source(path) as file:
            while line := file.readline(limit + 1):
                number += 1
                offset += len(line)
                too_long = len(line) > limit
                while too_long and line and not line.endswith(b"\n"):
                    line = file.readline(limit)
                    offset += len(line)
                yield number, None if too_long else line
        if path.suffix == ".zst":
            check_zstd_end(path)
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise InputError(
            f"{path}: damaged or cut off after line {number}, unpacked byte {offset} ({error}); fetch it again"
        ) from None


def check_zstd_end(path: Path) -> None:
    """Raise EOFError where a zstd file ends within a frame; the stream reader takes that for its end."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            while block:
                if decompressor.eof:
                    decompressor = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
                decompressor.decompress(block)
                block = decompressor.unused_data if decompressor.eof else b""
    if not decompressor.eof:
        raise EOFError("the file ends within a zstd frame")
