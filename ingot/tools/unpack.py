"""Unpack a model: `ingot unpack FILE.zst [TO]`. A file whose size or digest is not the promised one is refused."""

import sys
from pathlib import Path

from ingot.errors import InputError
from ingot.io.container import unpack_file


def main() -> None:
    """Unpack the file that the command line names, beside it unless a target is given."""
    if len(sys.argv) not in (2, 3) or not sys.argv[1].endswith(".zst"):
        raise SystemExit(__doc__)
    packed = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) == 3 else packed.with_suffix("")
    try:
        unpack_file(packed, target)
    except (InputError, OSError) as error:
        raise SystemExit(f"ingot: unpack: {error}") from None
    print(target)


if __name__ == "__main__":
    main()
