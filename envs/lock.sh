#!/usr/bin/env bash
# lock.sh [NAME ...]: resolve envs/NAME.in again into envs/NAME.lock (all of them by default).
# torch is pinned in the .in file and installed in the build that fits the machine, so it and what only its CUDA build
# needs stay out of the locks.
set -euo pipefail
cd "$(dirname "$0")"
uv=$(python3 build.py uv)/bin/uv
[ $# -gt 0 ] || set -- $(ls *.in | sed 's/\.in$//')
for name in "$@"; do
  "$uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-package torch \
    --excludes torch-accelerators.txt -o "$name.lock" "$name.in"
done
