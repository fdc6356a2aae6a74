"""What the steps of the build that runs will take, as far as is known. The Snakefile notes it, the line reads it."""

SECONDS: dict[tuple[str, ...], float] = {}
"""By rule and wildcards, the seconds that the plan says."""
