import itertools
import json
import shutil
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from helpers.records import write_answers
from helpers.settings import ROUTER
from ingot.errors import InputError
from ingot.io.records import read_json
from ingot.routing import calibrators, classifier, difficulty, thresholds
from ingot.routing.classifier import Reader, Seen
from ingot.routing.features import COUNTS, Features
from ingot.routing.router import Router, is_right
from ingot.routing.token_vectors import TokenVectors, read_table
from ingot.settings.router import Costs, Detector
from ingot.world.dissatisfaction import messages, phrasings
from workflow_scripts.router.train_detector import train_detector
from workflow_scripts.router.train_router import classes_of, committees, parts_of, train_router, unseen_logits, weigh

DOMAINS = ["code", "automation"]
WORDS = {
    "code": "write the function that takes a list and gives back every second name of it sorted".split(),
    "automation": "order a table for the guests of tonight and tell the waiter which list they like".split(),
    "base": "sort the names of a list and give back the longest function of every second word".split(),
}
ASKED = {"code": "Write a lambda {} that doubles x.", "automation": "Order {} apples for Ann.", "base": "Sort: {}"}


@pytest.fixture(scope="module")
def rows():
    r = np.random.default_rng(0)
    found = []
    for i in range(900):
        kind = ("code", "automation", "base")[i % 3]
        prompt = ASKED[kind].format(r.integers(0, 10**6))
        right = {"base": kind == "base", "code": kind == "code", "automation": kind == "automation"}
        found.append({"id": str(i), "instruction": prompt, "domain": kind, "confidence": 0.5, "right": right})
    return found


@pytest.fixture(scope="module")
def trained(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("router")
    train_router(
        write_answers(folder, rows),
        [],
        folder / "router",
        folder / "report.json",
        domains=DOMAINS,
        settings=ROUTER,
        seed=0,
    )
    return folder


def test_it_sends_each_prompt_where_it_is_answered(trained, rows):
    router = Router(trained / "router")
    routes = router.routes([row["instruction"] for row in rows])
    assert sum(route == row["domain"] for route, row in zip(routes, rows, strict=True)) >= 0.98 * len(rows)


def test_answers_to_other_questions_are_refused(rows, tmp_path):
    files = write_answers(tmp_path, rows[:4])
    together = thresholds.joined(files, ["base", "code", "automation"])
    assert [row | {"answers": None} for row in together] == [row | {"answers": None} for row in rows[:4]]
    assert together[0]["answers"]["code"]["right"] == rows[0]["right"]["code"]
    write_answers(tmp_path / "other", rows[1:5])
    with pytest.raises(InputError, match="do not answer the same questions"):
        thresholds.joined([*files[:2], tmp_path / "other/automation.jsonl"], ["base", "code", "automation"])


def test_each_decision_has_the_documents_shape(trained):
    decisions = read_json(trained / "report.json")["decisions"]
    assert {d["parameters"] for d in decisions.values()} == {10_369}


def test_an_unknown_prompt_stays_with_the_base_below_the_threshold(trained):
    router = Router(trained / "router")
    router.threshold = 1.0
    assert router.routes(["Write a lambda f that doubles x."]) == ["base"]


def test_no_pickle_is_written_or_needed(trained):
    assert sorted(p.name for p in (trained / "router").iterdir()) == ["classifier.json", "layers.safetensors"]
    json.loads((trained / "router/classifier.json").read_text())


def test_a_prompt_is_routed_in_a_few_milliseconds(trained):
    router = Router(trained / "router")
    start = time.perf_counter()
    for i in range(100):
        router.routes([f"Write a lambda {i} that doubles x."])
    assert (time.perf_counter() - start) / 100 < 0.05  # generous: bench/ measures


@pytest.mark.parametrize(
    ("route", "right", "verdict"),
    [
        ("base", {"base": True, "code": True}, True),
        ("code", {"base": True, "code": True}, True),
        ("base", {"base": False, "code": True}, False),
        ("code", {"base": True, "code": False}, False),
        ("base", {"base": False, "code": False}, True),
        ("code", {"base": False, "code": False}, False),
    ],
)
def test_what_a_right_decision_is(route, right, verdict):
    assert is_right(route, right) is verdict


def test_features_have_one_length_and_ignore_which_number_it_is():
    features = Features.learn(["Sort: 3 1 2", "Sort: 7 8", "Sum: 1 2"] * 3, ["a", "a", "b"] * 3, 32)
    assert len(features.vector("anything at all")) == 32
    assert features.vector("Sort: 3 1 2")[:-COUNTS] == features.vector("Sort: 9 9 9")[:-COUNTS]
    assert features.vector("")[:-COUNTS] == [0.0] * (32 - COUNTS)


def test_what_stays_of_token_vectors_is_a_score_per_token(checkpoint):
    """It gives the logits that the mean vectors themselves give."""
    r = np.random.default_rng(0)
    vectors = TokenVectors(checkpoint)
    ids = [r.integers(0, len(vectors.table), r.integers(1, 20)).tolist() for _ in range(200)]
    truths = np.array([float(np.mean(one) > len(vectors.table) / 2) for one in ids])
    counts = r.normal(size=(200, 3)).astype(np.float32)
    learned = difficulty.learn(vectors.means(ids), vectors.table, counts, truths)
    weights, offset = difficulty.linear(vectors.means(ids), truths, difficulty.TOKENS_SHRUNK)
    of_counts, other = difficulty.linear(counts, truths, difficulty.COUNTS_SHRUNK)
    expected = vectors.means(ids) @ weights + counts @ of_counts + offset + other
    np.testing.assert_allclose(learned.logits(ids, counts), expected, atol=1e-4)
    assert learned.scores.shape == (len(vectors.table),)
    assert np.isfinite(learned.logits([[]], counts[:1])).all()


def test_a_router_with_token_vectors_is_stored_and_read_again(rows, checkpoint, tmp_path):
    paths = (write_answers(tmp_path, rows[:300]), [checkpoint], tmp_path / "router", tmp_path / "report.json")
    train_router(*paths, domains=DOMAINS, settings=ROUTER, seed=0)
    names = {path.name for path in (tmp_path / "router").iterdir()}
    assert names == {"classifier.json", "layers.safetensors", "tokenizer.json"}
    router = Router(tmp_path / "router")
    right = sum(router.routes([row["instruction"]]) == [row["domain"]] for row in rows[:100])
    assert right >= 98
    decision = router.decisions["code"]
    decision.weights = (0.0, 1.0, 0.0)
    seen = router.reader.read([row["instruction"] for row in rows[:30]])
    assert np.std(decision.logits(seen)) > 0
    np.testing.assert_allclose(decision.logits(seen)[[3, 7]], decision.logits(seen[[3, 7]]))


def test_a_router_that_was_stored_before_there_was_the_domain_is_read(trained, rows, tmp_path):
    folder = tmp_path / "router"
    shutil.copytree(trained / "router", folder)
    stored = json.loads((folder / "classifier.json").read_text())
    for one in stored["decisions"].values():
        one["weights"] = [1.0, 0.0]
    (folder / "classifier.json").write_text(json.dumps(stored))
    tensors = load_file(folder / "layers.safetensors")
    save_file({name: tensor for name, tensor in tensors.items() if "domain" not in name}, folder / "layers.safetensors")
    prompts = [row["instruction"] for row in rows[:300]]
    assert np.mean([a == row["domain"] for a, row in zip(Router(folder).routes(prompts), rows, strict=False)]) > 0.9


def test_an_open_threshold_is_the_one_that_pays_best(rows, tmp_path):
    """Where a modifier is needed only now and then, it is asked nevertheless if that costs little."""
    r = np.random.default_rng(0)
    unsure = [
        row | {"right": {"base": False, "code": row["domain"] == "code" and r.random() < 0.3, "automation": False}}
        for row in rows
    ]
    settings = ROUTER.model_copy(update={"threshold": None})
    paths = (write_answers(tmp_path, unsure), [], tmp_path / "router", tmp_path / "report.json")
    train_router(*paths, domains=DOMAINS, settings=settings, seed=0)
    of_threshold = read_json(tmp_path / "report.json")["threshold"]
    assert of_threshold["test"] is None
    assert of_threshold["chosen"] == of_threshold["tuned"] < 0.3
    routes = Router(tmp_path / "router").routes([row["instruction"] for row in rows])
    asked = [route == "code" for route in routes]
    assert np.mean([one == (row["domain"] == "code") for one, row in zip(asked, rows, strict=True)]) > 0.95


def test_members_are_weighed_by_what_they_say_of_unseen_prompts():
    r = np.random.default_rng(0)
    y = r.integers(0, 2, 500)
    good, bad = 2 * y - 1 + r.normal(size=500), r.normal(size=500)
    constant = np.zeros(500)

    def chosen(**logits):
        weights, losses = weigh(logits, y)
        return [member for member, weight in zip(classifier.MEMBERS, weights, strict=True) if weight], weights, losses

    assert chosen(perceptron=good, difficulty=bad, domain=constant)[0] == ["perceptron"]
    assert chosen(perceptron=bad, difficulty=good, domain=constant)[0] == ["difficulty"]
    assert chosen(perceptron=constant, difficulty=bad, domain=good)[0] == ["domain"]
    assert chosen(perceptron=constant, difficulty=constant, domain=constant)[0] == ["perceptron"]
    other = 2 * y - 1 + r.normal(size=500)
    members, weights, losses = chosen(perceptron=good, difficulty=10 * other, domain=constant)
    assert members == ["perceptron", "difficulty"]
    assert weights[0] == pytest.approx(10 * weights[1], rel=0.2)
    assert losses["perceptron and difficulty"] < losses["perceptron"]


@pytest.mark.parametrize("seed", range(3))
def test_where_few_prompts_need_a_modifier_their_domain_tells_them(rows, tmp_path, seed):
    """Of 50 prompts of its domain, a modifier helps with nine and spoils four; of 100 others none."""
    r = np.random.default_rng(seed)
    lucky = iter(r.permutation(50).tolist())
    few = []
    for row in rows[:150]:
        luck = next(lucky) if row["domain"] == "code" else 50
        right = {"base": luck < 4, "code": 4 <= luck < 13, "automation": False}
        said = " ".join(r.permutation(WORDS[row["domain"]])[:6])
        few.append(row | {"instruction": said, "right": right})
    settings = ROUTER.model_copy(update={"threshold": None})
    paths = (write_answers(tmp_path, few), [], tmp_path / "router", tmp_path / "report.json")
    train_router(*paths, domains=DOMAINS, settings=settings, seed=0)
    routes = Router(tmp_path / "router").routes([row["instruction"] for row in few])
    assert np.mean([(one == "code") == (row["domain"] == "code") for one, row in zip(routes, few, strict=True)]) > 0.9


def test_hard_prompts_are_told_from_easy_ones_in_words_that_nobody_has_seen():
    r = np.random.default_rng(0)
    names = ["".join(r.choice(list("abcdefghij"), 6)) for _ in range(5000)]
    rows = []
    for i in range(600):
        hard = i % 2
        text = " ".join(r.choice(names, 60 if hard else 8)) + (" 17 of 230?" if hard else ".")
        rows.append({"instruction": text, "domain": "", "right": {"base": not hard, "code": True}})
    trained = committees(rows, ["code"], 64, None, 0)
    assert trained.losses["code"]["difficulty"] < 0.1
    decision = trained.decisions["code"]
    decision.weights = (0.0, 1.0, 0.0)
    new = trained.reader.read(["new words " * 40 + "17 of 230?", "new words."])
    assert decision.logits(new)[0] > 0 > decision.logits(new)[1]


@pytest.mark.parametrize("prompt", ["", " ", "\n", "1" * 500, "é漢字", "a" * 10_000, "1,,2 3.4.5 %"])
def test_counts_are_finite_whatever_the_prompt(prompt):
    values = difficulty.text_counts(prompt)
    assert len(values) == len(difficulty.text_counts("x"))
    assert np.isfinite(values).all()
    assert max(values) < 20


def test_an_embedding_that_does_not_fit_is_named(tmp_path, checkpoint):
    import shutil

    with pytest.raises(InputError, match="there is no tokenizer.json; name another `embedding`, or null"):
        TokenVectors(tmp_path)
    shutil.copy(checkpoint / "tokenizer.json", tmp_path)
    with pytest.raises(InputError, match="no safetensors file"):
        TokenVectors(tmp_path)


def test_vectors_are_of_the_tokens_of_the_prompt_whatever_the_folder_says(rows, checkpoint, tmp_path):
    import shutil

    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer

    prompt = rows[0]["instruction"]
    plain = TokenVectors(checkpoint).tokenizer.encode(prompt, add_special_tokens=False).ids
    shutil.copytree(checkpoint, tmp_path / "padded")
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.enable_padding(length=40)
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "padded/tokenizer.json"))
    assert TokenVectors(tmp_path / "padded").tokenizer.encode(prompt, add_special_tokens=False).ids == plain
    # As model2vec stores it: vectors that tokens share, and a weight per token.
    (tmp_path / "shared").mkdir()
    shutil.copy(checkpoint / "tokenizer.json", tmp_path / "shared")
    size = tokenizer.get_vocab_size()
    tensors = {
        "embeddings": torch.randn(4, 8, generator=torch.Generator().manual_seed(0)),
        "mapping": torch.arange(size) % 4,
        "weights": torch.linspace(0.5, 1.5, size),
    }
    save_file(tensors, tmp_path / "shared/model.safetensors")
    expected = (tensors["embeddings"][tensors["mapping"]] * tensors["weights"][:, None]).numpy()
    np.testing.assert_allclose(read_table(tmp_path / "shared"), expected)
    save_file({"embeddings": tensors["embeddings"]}, tmp_path / "shared/model.safetensors")
    with pytest.raises(InputError, match=f"4 vectors for {size} tokens"):
        TokenVectors(tmp_path / "shared")


def test_calibration_error_of_a_liar_and_of_an_honest_guesser():
    truth = np.array([0.0, 1.0] * 50)
    assert calibrators.expected_calibration_error(np.full(100, 0.5), truth) == pytest.approx(0.0)
    assert calibrators.expected_calibration_error(np.full(100, 1.0), truth) == pytest.approx(0.5)


def test_calibration_mends_an_overconfident_score_and_leaves_a_good_one_alone():
    r = np.random.default_rng(0)
    z = r.normal(size=4000)
    truth = (r.random(4000) < calibrators.sigmoid(z)).astype(int)
    seen, unseen = slice(0, 2000), slice(2000, 4000)
    for scale in (1.0, 5.0):
        decision = classifier.Decision([(scale * np.eye(1), np.zeros(1))])
        prompts = Seen(z[:, None], [[]] * len(z), np.zeros((len(z), 1)))
        before = calibrators.expected_calibration_error(decision.probability(prompts[unseen]), truth[unseen])
        logits = decision.logits(prompts)
        decision.calibrator, _ = calibrators.choose(logits[seen], truth[seen], (logits[unseen], truth[unseen]))
        after = calibrators.expected_calibration_error(decision.probability(prompts[unseen]), truth[unseen])
        assert after < 0.03
        assert (before > 0.1) == (scale == 5.0)


@pytest.mark.parametrize("kind", calibrators.KINDS)
def test_every_calibrator_survives_the_disk_and_never_falls(kind):
    r = np.random.default_rng(0)
    z = r.normal(size=500) * 3
    truth = (r.random(500) < calibrators.sigmoid(z / 3)).astype(int)
    one = calibrators.fit(kind, z, truth)
    assert one.kind == kind
    back = calibrators.Calibrator(**json.loads(json.dumps(one.to_json())))
    line = np.linspace(-20, 20, 200)
    assert (back(line) == one(line)).all()
    assert (np.diff(one(line)) >= 0).all()
    assert ((one(line) > 0) & (one(line) < 1)).all()
    if kind != "none":
        assert calibrators.log_loss(one(z), truth) < calibrators.log_loss(calibrators.sigmoid(z), truth)


def test_isotonic_is_chosen_where_no_line_fits():
    r = np.random.default_rng(0)
    z = r.uniform(-3, 3, size=4000)
    truth = (r.random(4000) < np.where(z < -2, 0.02, np.where(z < 2.5, 0.5, 0.98))).astype(int)  # three steps
    chosen, losses = calibrators.choose(z[:2000], truth[:2000], (z[2000:], truth[2000:]))
    assert chosen.kind == "isotonic"
    assert set(losses) == set(calibrators.KINDS)


ROWS = [{"right": {"base": i < 60, "code": i >= 40}, "confidence": 1 - i / 100} for i in range(100)]
COSTS = Costs(base=1.0, modifier=2.0)


def test_routes_are_worth_what_they_get_right_less_what_they_cost():
    sure = {"code": np.array([0.0] * 60 + [0.9] * 40)}
    table = thresholds.tune(ROWS, sure, COSTS, worth=10)
    at = {row["threshold"]: row for row in table}
    assert at[0.9] == {"threshold": 0.9, "accuracy": 1.0, "cost": 1.4, "utility": 8.6}
    assert at[0.95] == {"threshold": 0.95, "accuracy": 0.6, "cost": 1.0, "utility": 5.0}


def test_another_threshold_must_show_that_it_is_better():
    sure = {"code": np.array([0.0] * 60 + [0.7] * 40)}
    test = thresholds.better(ROWS, sure, (0.8, 0.5), COSTS, 10, 0.05)
    assert (test["taken"], test["b_against_a"]["won"]) == ("b", 40)
    assert (
        thresholds.better(ROWS[:64], {"code": sure["code"][:64]}, (0.8, 0.5), COSTS, 10, 0.05)["taken"] == "a"
    )  # 4 won
    assert thresholds.better(ROWS, sure, (0.5, 0.8), COSTS, 10, 0.05)["taken"] == "a"
    wasteful = {"code": np.array([0.6] * 40 + [0.9] * 60)}
    assert thresholds.better(ROWS, wasteful, (0.95, 0.95), COSTS, 10, 0.05)["taken"] == "a"  # the same


def test_the_same_answers_for_less_are_better():
    always = {"code": np.array([0.0] * 40 + [0.6] * 20 + [0.9] * 40)}
    test = thresholds.better(ROWS, always, (0.5, 0.8), COSTS, 10, 0.05)
    assert (test["taken"], test["b_against_a"]["gain"]) == ("b", 0.0)


def test_the_ways_to_route_have_their_places():
    found = thresholds.curves(ROWS, {"code": np.array([0.1] * 60 + [0.9] * 40)}, COSTS)
    assert found["base"] == {"accuracy": 0.6, "cost": 1.0}
    assert found["modifier"] == {"accuracy": 0.6, "cost": 2.0}
    assert found["oracle"] == {"accuracy": 1.0, "cost": 1.4}
    assert {"threshold": 0.5, "accuracy": 1.0, "cost": 1.4} in found["router"]
    # By confidence, 40 answers are paid for twice.
    best = max(found["confidence"], key=lambda one: (one["accuracy"], -one["cost"]))
    assert best["accuracy"] == 1.0
    assert best["cost"] == pytest.approx(0.6 + 0.4 * 3.0)


def test_logits_for_calibration_come_from_layers_that_had_not_seen_the_example():
    """Answers at random cannot be learned: neither unseen logits nor the terms that they are made of may know them."""
    r = np.random.default_rng(0)
    prompts = [" ".join(f"w{word}" for word in r.integers(0, 400, 12)) for _ in range(200)]
    y = r.integers(0, 2, 200)
    rows = [
        {
            "instruction": prompt,
            "domain": "code" if needed else "base",
            "right": {"base": not needed, "code": bool(needed)},
        }
        for prompt, needed in zip(prompts, y.tolist(), strict=True)
    ]

    def learn(some):
        texts = [row["instruction"] for row in some]
        return Reader(Features.learn(texts, classes_of(some, ["code"]), 64))

    seen = learn(rows).read(prompts)
    assert ((classifier.train_decision(seen.features, y, 0).logits(seen) > 0) == y).mean() > 0.85
    for logits in unseen_logits(rows, ["code"], learn, None, 0)["code"].values():
        assert 0.35 < ((logits > 0) == y).mean() < 0.65


def test_nothing_is_judged_by_the_prompts_that_it_was_chosen_on():
    rows = [{"instruction": f"prompt {i}"} for i in range(3000)]
    parts = parts_of(rows)
    assert [row for part in parts.values() for row in part] != rows
    assert sorted(row["instruction"] for part in parts.values() for row in part) == sorted(
        row["instruction"] for row in rows
    )
    shares = {name: len(part) / 3000 for name, part in parts.items()}
    assert shares["train"] == pytest.approx(0.8, abs=0.03)
    assert all(shares[name] == pytest.approx(0.067, abs=0.02) for name in ("calibrate", "judge", "held_out"))


def test_a_decision_without_two_answers_is_always_the_same_and_not_sure():
    never = classifier.train_decision(np.zeros((18, 128), dtype=np.float32), np.zeros(18), 0)
    seen = Seen(np.random.default_rng(0).normal(size=(3, 128)), [[]] * 3, np.zeros((3, 1)))
    assert never.probability(seen).tolist() == pytest.approx([0.05] * 3)
    assert never.parameters == 10_369


def test_the_detector_is_tested_on_phrasings_that_it_never_saw(detector):
    said = {
        side: [{s for family in part for s in family} for part in phrasings(side)]
        for side in ("train", "sentences", "families")
    }
    for a, b in itertools.combinations(said, 2):
        assert all(one and one.isdisjoint(other) for one, other in zip(said[a], said[b], strict=True))
    found = read_json(detector / "report.json")["held_out"]
    assert found["sentences"]["messages"] == 2000
    assert found["sentences"]["accuracy"] > 0.95
    assert found["sentences"]["false_alarms"] < 0.1
    assert found["families"]["accuracy"] > 0.75, "whole families are harder"


@pytest.mark.parametrize(
    ("message", "complains"),
    [
        ("That is wrong, try again", True),
        ("no, your answer makes no sense", True),
        ("that's wrong-headed of them", False),
        ("try again later, he said", False),
        ("Translate into French: that is wrong", False),
        ("What is wrong with my function?", False),
    ],
)
def test_the_detector_tells_complaints_from_what_sounds_like_them(detector, message, complains):
    reader, decisions, settings = classifier.load(detector / "d")
    said = decisions["escalate"].probability(reader.read([message]))[0] >= settings["threshold"]
    assert said == complains


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    train_detector(folder / "d", folder / "report.json", settings=Detector(examples=2000, features=512), seed=0)
    return folder


def test_messages_are_half_complaints():
    assert sum(label for _, label in messages(0, 100, "families")) == 50
