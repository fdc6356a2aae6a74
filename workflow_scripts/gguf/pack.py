"""Pack a model file with zstd. It must be unpacked before it can be used (`make unpack`)."""

from pathlib import Path

from ingot.converting.gguf_files import segments_of
from ingot.io.container import pack_file, unpack_file
from ingot.io.records import write_json
from ingot.settings.gguf import Pack


def pack(model: Path, packed: Path, report: Path, *, settings: Pack, threads: int) -> None:
    """Write the packed file and a report. The file is unpacked once, to check that it gives the same bytes again."""
    facts = pack_file(model, packed, settings.level, threads, segments_of(model))
    trial = packed.with_name(f"{packed.name}.trial")
    try:
        unpack_file(packed, trial)
    finally:
        trial.unlink(missing_ok=True)
    write_json(report, {**facts, "packed_bytes": packed.stat().st_size})
