"""Traced: Snakemake schedules, DVC remembers; content decides what runs again, not clocks.

    step       what a job reads and writes, as both tools see it
    closure    the files of code that a script consists of
    digest     what a file or folder holds, without reading it twice
    cache      the bytes: DVC's cache
    store      the traces: DVC's run-cache and dvc.lock
    remote     traces and bytes of other clones, through DVC's remotes
    plan       what is current, what can be restored, what must run, and why
    engine     where Snakemake asks
    lock       who is busy with a step
    runner     in front of every job, also on a node of a cluster
    pipeline   dvc.yaml, params.yaml and dvc.lock
    why, diverge   the answers to two questions, as commands

docs/traced.md tells how another Snakefile adopts it.
"""
