#!/usr/bin/env bash
# lock.sh [NAME ...]: resolve envs/NAME.in again into envs/NAME.lock (all of them by default).
# torch is installed in the build that fits the machine, so only its version is in the lock, as a comment that build.py
# reads; what only its CUDA build needs stays out.
set -euo pipefail
cd "$(dirname "$0")"
uv=$(python3 build.py uv)/bin/uv
[ $# -gt 0 ] || set -- $(ls *.in | sed 's/\.in$//')
for name in "$@"; do
  "$uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-package torch \
    --excludes torch-accelerators.txt -o "$name.lock" "$name.in"
  torch=$(sed -n 's/^-r \(.*\)/\1/p' "$name.in" | xargs grep -hs "^torch==" "$name.in" | sort -u || true)
  if [ -n "$torch" ]; then
    note="# $torch is part of this lock. Its build differs from machine to machine: torch.sha256 has the hashes."
    printf '%s\n' "$note" | cat - "$name.lock" > "$name.partial" && mv "$name.partial" "$name.lock"
  fi
done
