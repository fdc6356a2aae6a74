"""The trace layer. Snakemake schedules the steps, DVC remembers what they wrote, and content decides what runs again.

    step       what a job reads and writes, as both tools see it
    closure    the files of code that a script consists of
    files      files that appear whole, and small ones that remember
    digest     what a file or folder holds; nothing is read twice
    cache      the bytes: DVC's cache
    store      the traces: DVC's run-cache and dvc.lock
    remote     traces and bytes of other clones, by way of DVC's remotes
    plan       what is current, what can be restored, what must run, and why
    engine     where Snakemake asks: its graph, its scheduler
    scheduler  what happens before a job and after it
    tracer     what graph and scheduler share
    lock       who is busy with a step
    runner     in front of every job, also on a node of a cluster
    dvc_files  dvc.yaml, params.json and dvc.lock
    graph      the graph of the Snakefile here, for commands
    hermetic   a build that proves that rules declare what their steps read
    lineage    where files came from, as statements that a stranger can check
    pipeline, why, diverge   the commands: write DVC's files, answer two questions

The README beside this file shows how to use the layer in a Snakefile.
"""

VERSION = "0.1.0"
