"""World: small tasks with exact answers, from which sources, a benchmark and texts to pretrain on are made.

It is made only where `sources` or `benchmarks` name its files, or where the base is pretrained.

Inputs:   none
Outputs:  results/world/{alpaca.jsonl,messages.jsonl.gz,question.jsonl.zst}   sources of three shapes, with planted flaws
          results/world/pretraining.jsonl                                     what the base is pretrained on
          results/world/benchmark.jsonl                                       items to measure with
          results/world/truth.jsonl                                           what was planted where; only tests read it
"""


rule generate:
    input:
        code=code("data", "world/generate"),
    output:
        alpaca="results/world/alpaca.jsonl",
        messages="results/world/messages.jsonl.gz",
        question="results/world/question.jsonl.zst",
        pretraining="results/world/pretraining.jsonl",
        benchmark="results/world/benchmark.jsonl",
        truth="results/world/truth.jsonl",
    log:
        "logs/generate.log",
    params:
        # With planted secrets, as raw data may have them.
        **step(
            kept_here=("alpaca", "messages", "question", "truth"),
            settings=SETTINGS.generate,
            test_share=SETTINGS.split.shares.test,
            seed=SETTINGS.seed,
        ),
    message:
        "Generate the tiny world: raw sources with planted flaws, benchmark and pretraining corpus"
    shell:
        RUN
