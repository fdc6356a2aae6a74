"""Read the rows of a source file in any common format: as a stream, within limits, naming damage by file and place."""

import codecs
import csv
import io
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ingot.errors import InputError
from ingot.settings.data import Read

FORMATS = ("jsonl", "json", "csv", "parquet")
ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
BLOCK = 1000  # rows: the parts of a source take turns, with so many rows at a time
CHUNK = 1 << 20  # bytes
ALWAYS_ALLOWED = 64 << 20  # bytes to which a small file may unpack, whatever its ratio


@dataclass(frozen=True)
class Part:
    """One of the parts of a source. They take turns in blocks of rows, so rows added at the end touch few parts."""

    place: int
    """Which part it is, from 0 on."""
    of: int
    """How many parts there are."""

    def has(self, number: int) -> bool:
        """Tell whether the row `number`, counted from 0, belongs to this part."""
        return number // BLOCK % self.of == self.place


WHOLE = Part(0, 1)
"""All rows of a source."""


@dataclass(frozen=True)
class Row:
    """A row of a source: its number and its value; or, if it cannot be read, the reason and how it begins."""

    number: int
    value: Any = None
    reason: str = ""
    excerpt: bytes = b""


def too_much(path: Path, most: int) -> InputError:
    """Return the error for a file that unpacks to more than allowed."""
    return InputError(
        f"{path}: unpacks to more than {most >> 20} MiB, which no text does; if it is meant to, raise read.unpacking"
    )


def cell_text(value: Any) -> Any:
    """Write a finite number as a text, as a CSV file would hold it. Return anything else as it is."""
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value) if value.is_integer() else value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def size_of(value: Any) -> int:
    """Count the characters of all texts in a value, at any depth, and one for each other value."""
    if isinstance(value, dict):
        return sum(size_of(key) + size_of(one) for key, one in value.items())
    if isinstance(value, list):
        return sum(map(size_of, value))
    return len(value) if isinstance(value, str | bytes) else 1


class Bounded(io.RawIOBase):
    """The unpacked bytes of a source; InputError if there are more than allowed, or if the file is damaged."""

    def __init__(self, path: Path, unpacking: int) -> None:
        import pyarrow

        with open(path, "rb") as file:
            start = file.read(4)
        packing = next((name for magic, name in MAGIC.items() if start.startswith(magic)), None)
        raw = pyarrow.OSFile(str(path))
        self.path, self.offset = path, 0
        self.most = max(ALWAYS_ALLOWED, unpacking * path.stat().st_size) if packing else None
        self.stream = pyarrow.CompressedInputStream(raw, packing) if packing else raw

    def readable(self) -> bool:
        """Return True, as a file that can be read does."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Put the next bytes into `buffer`, and return how many there were."""
        try:
            data = self.stream.read(len(buffer))
        except OSError as error:
            raise InputError(
                f"{self.path}: damaged or cut off after unpacked byte {self.offset} ({error}); fetch it again"
            ) from None
        self.offset += len(data)
        if self.most is not None and self.offset > self.most:
            raise too_much(self.path, self.most)
        buffer[: len(data)] = data
        return len(data)


def open_source(path: Path, unpacking: int) -> IO[bytes]:
    """Open a source for reading. Bytes packed by gzip or zstd are unpacked on the way, whatever the file is called.

    `unpacking` says how many times its own size the file may unpack to.
    """
    if not path.exists():
        raise InputError(f"{path}: no such source; correct `sources` in config.yaml")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the source is empty; remove it from `sources` or fill it")
    file = io.BufferedReader(Bounded(path, unpacking), CHUNK)
    for mark, name in MARKS.items():
        if file.peek(4).startswith(mark):
            raise InputError(f"{path}: its text is {name}, not UTF-8; write it anew: `iconv -f {name} -t UTF-8`")
    return file


def format_of(path: Path, unpacking: int) -> str:
    """Tell the format of a source by the ending of its name, or else by its first bytes."""
    for ending in reversed(path.suffixes):
        if ending in ENDINGS:
            return ENDINGS[ending]
    with open_source(path, unpacking) as file:
        start = file.read(4096).lstrip()
    if start.startswith(b"PAR1"):
        return "parquet"
    if start[:1] in b"[{":
        return "json" if start.startswith(b"[") else "jsonl"
    raise InputError(f"{path}: its format is not known; name it by `format`, one of {', '.join(FORMATS)}")


class DuplicateKeyError(ValueError):
    """An object has the same key twice, and nothing says which value counts."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its keys and values; DuplicateKeyError if a key comes twice."""
    value = dict(pairs)
    if len(value) < len(pairs):
        raise DuplicateKeyError
    return value


DECODER = json.JSONDecoder(object_pairs_hook=unique)


def parse(line: bytes) -> tuple[Any, str]:
    """Parse a line of JSON: return (value, ""), or (None, reason) if it is broken."""
    if b"\x00" in line:
        return None, "nul_byte"
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None, "invalid_utf8"
    try:
        return DECODER.decode(text.strip()), ""
    except DuplicateKeyError:
        return None, "duplicate_key"
    except (ValueError, RecursionError):
        return None, "invalid_json"


def lines(file: IO[bytes], limit: int) -> Iterator[bytes | None]:
    """Yield the lines of a file that are not blank, and None in place of a line of more than `limit` bytes."""
    while line := file.readline(limit + 1):
        if len(line) <= limit:
            if line.strip():
                yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(limit)
        yield None


def badly_encoded(text: str) -> bool:
    """Tell whether a text, read with `surrogateescape`, was not valid UTF-8."""
    return not text.isascii() and any("\udc80" <= sign <= "\udcff" for sign in text)


def read_jsonl(path: Path, settings: Read, part: Part) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file that belong to a part; the others are not parsed."""
    with open_source(path, settings.unpacking) as file:
        for number, line in enumerate(lines(file, settings.row_bytes)):
            if not part.has(number):
                continue
            if line is None:
                yield Row(number + 1, reason="row_too_long")
                continue
            value, reason = parse(line)
            yield Row(number + 1, value, reason, line if reason else b"")


def find_list(text: str, path: Path) -> int:
    """Find where the records of a JSON document begin: in its list, or in the first list among its values."""
    start = len(text) - len(text.lstrip("\ufeff \t\r\n"))
    if text[start : start + 1] == "[":
        return start + 1
    bracket = text.find("[", start)
    if text[start : start + 1] != "{" or bracket < 0 or text[start + 1 : bracket].count("{"):
        raise InputError(f"{path}: a JSON document must be a list of records, or an object with one such list")
    return bracket + 1


def read_json_list(path: Path, settings: Read, part: Part) -> Iterator[Row]:
    """Yield the elements of the list in a JSON document, without holding the whole document in memory.

    A damaged document cannot be read on: InputError.
    """
    with open_source(path, settings.unpacking) as file:
        stream = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")
        text = stream.read(CHUNK)
        position, number, ended = find_list(text, path), 0, False
        while True:
            while text[position : position + 1] in (" ", "\t", "\r", "\n", ","):
                position += 1
            if text[position : position + 1] == "]":
                return
            start, reason, value = position, "", None
            try:
                value, position = json.JSONDecoder().raw_decode(text, position)
                # A number may go on in what has not been read yet.
                whole = position < len(text) or ended
            except (ValueError, RecursionError):
                whole = False
            if not whole:
                if ended or len(text) - start > settings.row_bytes:
                    raise InputError(f"{path}: record {number + 1}: not valid JSON, or longer than read.row_bytes")
                more = stream.read(max(CHUNK, len(text) - start))
                text, position, ended = text[start:] + more, 0, not more
                continue
            if part.has(number):
                raw = text[start:position]
                try:
                    DECODER.decode(raw)
                except DuplicateKeyError:
                    value, reason = None, "duplicate_key"
                if badly_encoded(raw):
                    value, reason = None, "invalid_utf8"
                yield Row(number + 1, value, reason, raw.encode("utf-8", "surrogateescape") if reason else b"")
            number += 1
            if position > CHUNK:
                text, position = text[position:], 0


def read_csv(path: Path, settings: Read, part: Part) -> Iterator[Row]:
    """Yield the rows of a table with a header, which also tells which sign separates the fields."""
    csv.field_size_limit(settings.row_bytes)
    with open_source(path, settings.unpacking) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        header = text.readline(settings.row_bytes)
        if len(header) == settings.row_bytes:
            raise InputError(f"{path}: its first line, with the names of the columns, is longer than read.row_bytes")
        if badly_encoded(header):
            raise InputError(
                f"{path}: its first line, with the names of the columns, is not UTF-8; save the file as UTF-8"
            )
        delimiter = max("\t;,", key=header.count)
        names = next(csv.reader([header], delimiter=delimiter))
        if len(set(names)) < len(names):
            raise InputError(f"{path}: two columns have the same name: {', '.join(names)}")
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        number = 0
        while True:
            try:
                fields = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                if part.has(number):
                    yield Row(number + 1, reason="invalid_csv", excerpt=str(error).encode())
                number += 1
                continue
            if fields:
                if part.has(number):
                    raw = delimiter.join(fields).encode("utf-8", "surrogateescape")
                    yield Row(number + 1, *row_of(names, fields, raw))
                number += 1


def row_of(names: list[str], fields: list[str], raw: bytes) -> tuple[Any, str, bytes]:
    """Make a row of a table into (value, reason, excerpt)."""
    if len(fields) != len(names):
        said = f"{len(fields)} columns, and the first line names {len(names)}"
        return None, "wrong_number_of_columns", said.encode()
    if b"\x00" in raw:
        return None, "nul_byte", raw
    if any(map(badly_encoded, fields)):
        return None, "invalid_utf8", raw
    return dict(zip(names, fields, strict=True)), "", b""


def read_parquet(path: Path, settings: Read, part: Part) -> Iterator[Row]:
    """Yield the rows of a Parquet file, batch by batch. A packed file is first unpacked into a temporary one."""
    import pyarrow
    import pyarrow.parquet

    with open_source(path, settings.unpacking) as file, tempfile.NamedTemporaryFile(suffix=".parquet") as unpacked:
        start = file.read(4)
        plain = path
        if open(path, "rb").read(4) != start:  # noqa: SIM115
            unpacked.write(start)
            shutil.copyfileobj(file, unpacked, CHUNK)
            unpacked.flush()
            plain = Path(unpacked.name)
        try:
            # A text that stands in many rows is in the file once, and stays so.
            table = pyarrow.parquet.ParquetFile(plain, read_dictionary=flat_texts(plain))
            groups = map(table.metadata.row_group, range(table.metadata.num_row_groups))
            unpacked_bytes = sum(group.total_byte_size for group in groups)
            if unpacked_bytes > (most := max(ALWAYS_ALLOWED, settings.unpacking * plain.stat().st_size)):
                raise too_much(path, most)
            number = 0
            for batch in table.iter_batches(batch_size=BLOCK):
                # A batch is no longer than a block, so it lies in two blocks at most.
                if part.has(number) or part.has(number + batch.num_rows - 1):
                    for place, value in enumerate(values_of(batch), number):
                        if not part.has(place):
                            continue
                        if size_of(value) > settings.row_bytes:
                            yield Row(place + 1, reason="row_too_long")
                        else:
                            yield Row(place + 1, value)
                number += batch.num_rows
        except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a whole Parquet file ({error}); fetch it again") from None


def flat_texts(path: Path) -> list[str]:
    """List the columns of a Parquet file that are texts or bytes, not lists or records of them."""
    import pyarrow.parquet

    columns = pyarrow.parquet.ParquetFile(path).schema
    found = (columns.column(place) for place in range(len(columns)))
    return [one.path for one in found if one.physical_type == "BYTE_ARRAY" and one.path == one.name]


def values_of(batch: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch: one by one if all together might be too much for the memory."""
    import pyarrow
    from pyarrow import compute

    texts = [one.dictionary for one in batch.columns if isinstance(one, pyarrow.DictionaryArray) and one.dictionary]
    longest = sum(compute.max(compute.binary_length(one)).as_py() or 0 for one in texts)
    step = 1 if longest * batch.num_rows > ALWAYS_ALLOWED else max(1, batch.num_rows)
    for start in range(0, batch.num_rows, step):
        yield from batch.slice(start, step).to_pylist()


READERS = {"jsonl": read_jsonl, "json": read_json_list, "csv": read_csv, "parquet": read_parquet}


def rows(path: Path, form: str | None, settings: Read, part: Part) -> Iterator[Row]:
    """Yield the rows of a part of a source. Rows are numbered from 1 in the whole source; blank lines do not count.

    InputError names file and place if the source is missing, empty or damaged, or unpacks to too much.
    """
    yield from READERS[form or format_of(path, settings.unpacking)](path, settings, part)


def objects(path: Path, settings: Read, form: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file. An object with a list `examples` stands for the objects of that list.

    InputError names a row that is none: of what others are measured by or joined with, none may be lost.
    """
    for row in rows(path, form, settings, WHOLE):
        if not isinstance(row.value, dict):
            raise InputError(f"{path}:{row.number}: {row.reason or 'not an object'}; none may be lost here")
        examples = row.value.get("examples")
        yield from examples if isinstance(examples, list) else [row.value]


def by_id(paths: list[Path], settings: Read, form: str | None = None) -> dict[str, dict[str, Any]]:
    """Read files of answers: {id: object}. InputError if one has no `id`, or the `id` of another."""
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        for answer in objects(path, settings, form):
            key = str(answer.get("id"))
            if "id" not in answer or key in found:
                what = f"two answers have the id {key!r}" if "id" in answer else "an answer has no `id`"
                raise InputError(f"{path}: {what}; answers are joined with their questions by it")
            found[key] = answer
    return found
