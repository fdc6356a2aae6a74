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
        # With planted secrets, as raw data may have them.
        alpaca=kept_here("results/world/alpaca.jsonl"),
        messages=kept_here("results/world/messages.jsonl.gz"),
        question=kept_here("results/world/question.jsonl.zst"),
        pretraining="results/world/pretraining.jsonl",
        benchmark="results/world/benchmark.jsonl",
        truth=kept_here("results/world/truth.jsonl"),
    log:
        "logs/generate.log",
    params:
        **step(
            settings=SETTINGS.generate,
            test_share=SETTINGS.split.shares.test,
            seed=SETTINGS.seed,
        ),
    message:
        "Generate the tiny world: raw sources with planted flaws, benchmark and pretraining corpus"
    shell:
        RUN
