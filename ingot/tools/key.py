"""Make a key for the server: `ingot key NAME [--tier TIER]`. It is shown once; only its digest is kept."""

import argparse
import sys
from pathlib import Path

from ingot.errors import InputError
from ingot.serving.keys import add_key, new_key
from ingot.serving.release_store import home


def main() -> int:
    """Make the key that the command line names, and print it."""
    parser = argparse.ArgumentParser(prog="ingot key", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a name for the logs")
    parser.add_argument("--tier", default="default", help="a tier of the file of keys")
    parser.add_argument("--keys", type=Path, default=home() / "keys.yaml", help="the file of keys")
    options = parser.parse_args()
    key = new_key()
    try:
        add_key(options.keys, options.name, options.tier, key)
    except InputError as error:
        sys.stderr.write(f"ingot: key: {error}\n")
        return 1
    print(key)
    return 0


if __name__ == "__main__":
    sys.exit(main())
