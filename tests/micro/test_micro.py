"""The whole graph, every rule for real, on the smallest configuration."""

import hashlib
import json
import re
import shutil

import pytest

from helpers.models import answer_of
from helpers.workspaces import SECRET

pytestmark = pytest.mark.graph


def test_the_release_is_complete_and_its_digests_are_right(built):
    manifest = json.loads((built / "results/release/manifest.json").read_text())
    for entry in manifest["files"]:
        data = (built / "results/release" / entry["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
    assert manifest["versions"]["torch"]
    assert not [entry for entry in manifest["files"] if "/." in entry["path"]]
    card = (built / "results/release/MODEL_CARD.md").read_text()
    assert "IQ4_XS" in card


def test_the_ledger_has_every_artifact_with_its_bytes(built):
    rows = json.loads((built / "results/release/ledger.json").read_text())
    assert {"base", "merged", "pruned", "awq", "F16", "IQ4_XS", "IQ4_XS.zst", "modifier_code"} <= {
        row["artifact"] for row in rows
    }
    for row in rows:
        path = built / row["path"]
        files = [path] if path.is_file() else list(path.rglob("*.safetensors"))
        assert row["bytes"] == sum(f.stat().st_size for f in files)
    by_name = {row["artifact"]: row for row in rows}
    assert by_name["pruned"]["zeros"] > 0.4
    assert by_name["IQ4_XS"]["ratio"] == round(by_name["IQ4_XS"]["bytes"] / by_name["F16"]["bytes"], 4)


def test_pruned_weights_stay_zero_to_the_end_of_the_chain(built):
    from workflow_scripts.release.ledger import checkpoint_zeros

    shares = {}
    for name in ("pruned", "recovered", "scaled"):
        zeros, size = checkpoint_zeros(built / "results" / name)
        shares[name] = zeros / size
    assert shares["recovered"] >= shares["pruned"] - 1e-6
    assert shares["scaled"] >= shares["pruned"] - 1e-6


def reports_of(built):
    """The reports of the lossy steps: those of every part, and those of the whole."""
    named = [*built.glob("results/data/parts/*/*/*.json")]
    named += [built / f"results/reports/{name}.json" for name in ("deduplicate", "decontaminate", "balance")]
    assert len(named) == 3 * 2 + 3
    return [json.loads(path.read_text()) for path in named]


def test_records_in_are_records_out_plus_rejected(built):
    for report in reports_of(built):
        assert report["read"] == report["kept"] + report["rejected"]
        assert report["rejected"] == sum(sum(found.values()) for found in report["reasons"].values())
    funnel = json.loads((built / "results/reports/curation.json").read_text())["funnel"]
    assert [row["records_out"] for row in funnel[:-1]] == [row["records_in"] for row in funnel[1:]]


def test_everything_planted_was_found(built):
    """The ground truth that only tests and reports read."""
    from collections import Counter

    planted = Counter(json.loads(line)["plant"] for line in open(built / "results/world/truth.jsonl"))
    found = Counter()
    for report in reports_of(built):
        for name, reasons in report["reasons"].items():
            found.update({name: sum(reasons.values())} | reasons)
    assert found["invalid_json"] == planted["broken"]
    assert found["invalid_utf8"] == planted["encoding"]
    assert found["language"] == planted["language"]
    assert found["personal"] == planted["personal"]
    assert found["secrets"] == planted["secret"]
    assert found["refusals"] == planted["refusal"]
    assert found["leftovers"] == planted["leftover"]
    assert found["exact_duplicate"] >= planted["exact_duplicate"]
    assert found["near_duplicate"] > 0
    assert found["contamination"] >= planted["contamination"]


def test_no_page_or_report_shows_what_was_planted_of_secrets_and_people(built):
    """Beside the sources, only files that are kept on this machine hold them."""
    from ingot.curation.personal import find_personal, find_secrets

    lines = (built / "results/world/alpaca.jsonl").read_bytes().decode(errors="replace").split("\n")
    truth = map(json.loads, open(built / "results/world/truth.jsonl"))
    planted = {(row["shape"], row["line"]) for row in truth if row["plant"] in ("secret", "personal")}
    texts = [text for place, text in enumerate(lines, 1) if ("alpaca", place) in planted]
    secrets = {t[span.start : span.end] for t in texts for span in [*find_secrets(t), *find_personal(t, "DE")]}
    assert len(secrets) >= 3
    shown = [*built.glob("results/*.html"), *built.glob("results/reports/*"), *built.glob("results/*.md")]
    assert built / "results/curation.html" in shown
    for page in shown:
        text = page.read_text()
        assert [secret for secret in secrets if secret in text] == [], page


def test_the_result_does_not_depend_on_the_number_of_parts(built, tmp_path):
    """The rules with four parts of a source, up to what is trained on, beside the build with one of each."""
    from helpers.workspaces import Workspace

    shutil.copytree(built, tmp_path / "ingot", symlinks=True)
    workspace = Workspace(tmp_path / "ingot")
    sources = [
        f"{{name: {name}, generator: {name}, domain: instruction, licence: Apache-2.0, parts: {parts}}}"
        for name, parts in (("alpaca", 4), ("messages", 1), ("question", 1))
    ]
    workspace.set(f"sources: [{', '.join(sources)}]")
    targets = ["results/data/deduplicated.jsonl", "results/data/train.jsonl"]
    steps, _ = workspace.build(*targets)
    assert len([step for step in steps if step.startswith("sign_alpaca")]) >= 3  # the first part may be as before
    assert not steps & {"decontaminate", "balance", "split"}, "the same bytes: nothing after it runs"
    for target in targets:
        assert (workspace / target).read_bytes() == (built / target).read_bytes()


def test_no_two_kept_records_are_near_duplicates(built):
    """Every pair that shares a word 3-gram is compared; a planted copy of a short task may differ too much."""
    from collections import defaultdict

    from ingot.text.forms import jaccard, shingles

    records = [json.loads(line) for line in open(built / "results/data/deduplicated.jsonl")]
    grams = [shingles(f"{r['instruction']} {r['response']}", "words", 3) for r in records]
    holders = defaultdict(list)
    for i, found in enumerate(grams):
        for gram in found:
            holders[gram].append(i)
    pairs = {(a, b) for held in holders.values() for a in held for b in held if a < b}
    assert len(pairs) > 1000
    assert [(a, b) for a, b in pairs if jaccard(grams[a], grams[b]) >= 0.8] == []


def test_no_benchmark_question_is_trained_on(built):
    from ingot.text.forms import normalise

    def prompts(name):
        return {normalise(json.loads(line)["instruction"]) for line in open(built / name)}

    asked = prompts("results/world/benchmark.jsonl")
    for part in ("train", "valid", "routing"):
        assert asked.isdisjoint(prompts(f"results/data/{part}.jsonl"))
    assert asked.isdisjoint(prompts("results/modifiers/code/failures.jsonl"))


def test_tokens_are_the_same_in_training_evaluation_and_gguf(built):
    for quant in ("F16", "IQ4_XS"):
        assert json.loads((built / f"results/measured/{quant}.json").read_text())["token_mismatches"] == 0


def test_f16_computes_what_the_checkpoint_computes(built):
    versus = json.loads((built / "results/measured/F16.versus_parent.json").read_text())
    assert versus["top1_agreement"] >= 0.98
    assert versus["kl"] < 0.001


def test_a_modifier_swaps_in_place_and_answers_as_if_freshly_loaded(built):
    from ingot.inference.gguf_model import open_gguf

    model, scaled = built / "results/gguf/IQ4_XS.gguf", built / "results/scaled"
    lora = built / "results/modifiers/code/lora.gguf"
    prompts = ["Write a lambda f that doubles x.", "Sort: 3 1 2", "What is 1 + 2? Ann asks."]

    def fresh(modifier, prompt):
        engine = open_gguf(model, scaled, 128, 1, {"code": lora})
        engine.use(modifier)
        return answer_of(engine, prompt, 12), engine.logits(engine.tokenize(prompt)).tolist()

    engine = open_gguf(model, scaled, 128, 1, {"code": lora})
    for modifier in (None, "code", None, "code", "code", None):
        for prompt in prompts:
            engine.use(modifier)
            assert (answer_of(engine, prompt, 12), engine.logits(engine.tokenize(prompt)).tolist()) == fresh(
                modifier, prompt
            )
    assert fresh(None, prompts[0])[1] != fresh("code", prompts[0])[1], "the modifier changes nothing"


def test_a_cut_off_gguf_is_named_with_its_offset(built, tmp_path):
    from ingot.errors import InputError
    from ingot.inference.gguf_model import check_gguf

    data = (built / "results/gguf/IQ4_XS.gguf").read_bytes()
    check_gguf(built / "results/gguf/IQ4_XS.gguf")
    for length in (0, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.gguf").write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cut\.gguf: (not a whole GGUF file|cut off at byte)"):
            check_gguf(tmp_path / "cut.gguf")


def test_no_secret_of_the_environment_is_written_anywhere(built):
    """A key in the environment of a build is in no file that the build leaves behind."""
    looked_at = 0
    for path in built.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
            looked_at += 1
    assert looked_at > 300


def test_a_suite_was_asked_of_models_and_kept_out_of_the_data(built):
    folder = built / "results/suites"
    merged, served = (json.loads((folder / model / "sums.json").read_text()) for model in ("merged", "IQ4_XS"))
    assert merged["score"]["of"] == served["score"]["of"] == 3
    first = json.loads((built / "results/answers/merged/sums.jsonl").read_text().splitlines()[0])
    assert "#### 1<|im_end|>" in first["prompt"], "the example is shown"
    assert "parent" not in merged
    assert served["parent"] == "merged"
    held_out = json.loads((built / "results/reports/decontaminate.json").read_text())["hits"]
    assert "sums" in held_out
    assert "## Suites" in (built / "results/release/MODEL_CARD.md").read_text()


def test_snakemakes_report_shows_curation_routing_card_and_plots(workspace):
    workspace.snakemake("--report", "report.html")
    page = (workspace / "report.html").read_text()
    categories = re.search(r"var categories = (\{.*\})", page).group(1)
    assert set(json.loads(categories)) == {"Curation", "Routing", "Model card", "Plots"}
    for name in ("MODEL_CARD.md", "curation.html", "routing.html", "sizes-quality.svg", "losses.svg"):
        assert name in categories
