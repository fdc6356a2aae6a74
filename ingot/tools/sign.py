"""Sign a release: `ingot sign RELEASE KEY`. The folder gets a bill of materials and a signature.

A key that does not exist is made, with its public half beside it. `ingot` has written the lineage before.
"""

import json
import sys
from pathlib import Path

from ingot.errors import InputError
from ingot.release.bill import BILL, bill_of_materials, check_format
from ingot.release.checks import LINEAGE, check_files, odd_entries, open_manifest
from ingot.release.leaks import places
from ingot.release.signature import SIGNATURE, TIMESTAMP, make_key, public_half, sign


def main() -> None:
    """Sign the folder that the command line names."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    folder, key = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        if key.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{key}: a private key must not be in the release")
        text = json.dumps(bill_of_materials(folder), indent=2, ensure_ascii=False)
        check_format(text)
        (folder / SIGNATURE).unlink(missing_ok=True)
        (folder / TIMESTAMP).unlink(missing_ok=True)
        (folder / BILL).write_text(text + "\n", encoding="utf-8")
        if odd := [*odd_entries(folder), *check_files(folder, open_manifest(folder))]:
            raise InputError("\n  ".join(["this release would not pass `ingot verify`:", *odd]))
        if named := places({name: folder / name for name in ("manifest.json", LINEAGE)}):
            print(f"beware: the release names places of this machine, such as {named[0]}", file=sys.stderr)
        if not key.exists():
            print(f"made a key: keep {key} secret, and give {make_key(key)} to those who verify")
        sign(folder, key)
    except (InputError, OSError) as error:
        raise SystemExit(f"ingot: sign: {error}") from None
    print(f"signed {folder}; check it with: ingot verify {folder} --key {public_half(key)}")


if __name__ == "__main__":
    main()
