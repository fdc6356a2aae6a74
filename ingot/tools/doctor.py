"""Say what this machine lacks for the configuration here, and what to do: `ingot doctor [--preset P] [--json]`.

The exit status is 1 if something would make a build fail.
"""

import argparse
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from ingot.errors import InputError
from ingot.settings.load import read_mapping
from ingot.workflow.build import open_build
from ingot.workflow.machine import Finding, all_checks, to_json

ROOT = Path(__file__).resolve().parents[2]
MARKS = {"ok": "ok  ", "note": "note", "fail": "FAIL"}


def lines_of(finding: Finding, width: int) -> list[str]:
    """Write a finding for a person."""
    head = f"{MARKS[finding.state]}  {finding.check:<14} "
    said = textwrap.wrap(finding.found, max(20, width - len(head))) or [""]
    todo = textwrap.wrap(f"-> {finding.todo}", max(20, width - 6)) if finding.todo else []
    return [head + said[0], *(" " * len(head) + line for line in said[1:]), *(" " * 6 + line for line in todo)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the machine; print findings as they come."""
    parser = argparse.ArgumentParser(prog="ingot doctor", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", help="the preset to check for, instead of that of config.yaml")
    parser.add_argument("--profile", default="", help="the Snakemake profile that the build will use")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    given = read_mapping(ROOT / "config.yaml") | ({"preset": options.preset} if options.preset else {})
    build = open_build(given, ROOT)
    findings, width = [], shutil.get_terminal_size().columns
    for check in all_checks(build, ROOT, options.profile):
        findings.append(check())
        if not options.json:
            print("\n".join(lines_of(findings[-1], width)), flush=True)
    failed = [finding.check for finding in findings if finding.state == "fail"]
    if options.json:
        print(to_json(findings))
    else:
        print(f"\n{len(failed)} of {len(findings)} checks failed" if failed else "\nReady to build.")
    return bool(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.exit(f"ingot: doctor: {error}")
