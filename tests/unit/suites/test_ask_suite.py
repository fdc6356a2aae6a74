"""Suites asked of a real, untrained model by lm-evaluation-harness, and of a model that knows the answers."""

from pathlib import Path
from tempfile import mkdtemp

import pytest

from helpers.curation import read_items, write_rows
from helpers.workspaces import ROOT
from ingot.errors import InputError
from ingot.inference.answer import Answer
from ingot.io.records import read_json, read_records
from ingot.measuring.suites import load_task

SUMS = [
    {"question": f"Ann has {i} apples and gets {i}. How many?", "answer": f"{i}+{i}\n#### {2 * i}"} for i in range(8)
]
CHOICES = [
    {"question": "Which is a colour?", "choices": ["red", "loud"], "answer": 0},
    {"question": "Which is a number?", "choices": ["tree", "seven", "fast"], "answer": "B"},
]
CALL = {"id": "a_1", "question": [[{"role": "user", "content": "Area of base 10?"}]], "function": [{"name": "area"}]}


@pytest.mark.parametrize("path", sorted((ROOT / "suites").glob("*.yaml")), ids=lambda path: path.stem)
def test_task_files_say_what_counts(path):
    task = load_task(path)
    assert task["task"] == path.stem
    assert task["metadata"]["score"] in {metric["metric"] for metric in task["metric_list"]}


class Knowing:
    """A model that answers from a book: the last part of the program that is not under test."""

    def __init__(self, tokenizer, book):
        self.tokenizer, self.book = tokenizer, book

    def complete(self, prompts, limits):
        return [Answer(next(text for key, text in self.book.items() if key in prompt), True) for prompt in prompts]


@pytest.mark.parametrize(
    ("task", "rows", "answers", "right"),
    [
        ("gsm8k", SUMS[:4], ["It is 0 + 0.\n#### 0", "#### 3", "so 4.00", "six"], [True, False, True, False]),
        (
            "bbh",
            [{"input": f"Sort list {i}", "target": "a B c"} for i in range(3)],
            ["Let me see.\nThe answer is a b C.", "a B c", "the answer is: b a c"],
            [True, True, False],
        ),
        (
            "mbpp",
            [
                {"text": f"Give {i}.", "code": f"def f():\n    return {i}", "test_list": [f"assert f() == {i}"]}
                for i in "12"
            ],
            ["```python\ndef f():\n    return 1\n```", "```python\ndef f():\n    return 1\n```"],
            [True, False],
        ),
        ("function_calls", [CALL | {"ground_truth": [{"area": {"base": [10]}}]}], ["area(base=10)"], [True]),
    ],
)
def test_answers_are_judged_by_what_the_suite_says(tmp_path, tokenizer, task, rows, answers, right):
    from ingot.measuring.harness import ask

    items, _ = read_items(tmp_path, task, rows)
    questions = [
        one.get("input") or one.get("text") or (one["question"] if isinstance(one["question"], str) else "base 10")
        for one in rows
    ]
    book = dict(zip(questions, answers, strict=True))
    marks = dict(zip(questions, right, strict=True))
    found = ask(Knowing(tokenizer, book), ROOT / f"suites/{task}.yaml", items, 64, 512)
    for row, item in zip(found, items, strict=True):
        question = next(key for key in book if key in row["prompt"])
        assert (row["right"], row["id"]) == (marks[question], item["id"]), row
        assert "<|im_start|>assistant" in row["prompt"]


def test_examples_are_turns_before_every_question_and_are_not_asked(tmp_path, tokenizer):
    from ingot.measuring.harness import ask

    path = write_rows(tmp_path / "examples.jsonl", SUMS[:3])
    items, report = read_items(tmp_path, "gsm8k", SUMS[1:5], examples=[path], shots=2)
    assert (report["items"], report["shown"], report["asked"]) == (4, 2, 3)  # one of both files is an example only
    book = {f"Ann has {i} apples and gets {i}. How many?\nReason": f"#### {2 * i}" for i in (4, 3, 2)}
    found = ask(Knowing(tokenizer, book), ROOT / "suites/gsm8k.yaml", items, 64, 512)
    assert [row["right"] for row in found] == [True] * 3
    for row in found:
        turns = row["prompt"].split("<|im_start|>")
        assert [turn.split("\n")[0] for turn in turns[1:]] == ["user", "assistant"] * 3
        assert "0+0\n#### 0<|im_end|>" in turns[2]
        assert "1+1\n#### 2<|im_end|>" in turns[4]


def test_examples_of_choices_show_letters(evaluated, tmp_path):
    path = write_rows(tmp_path / "examples.jsonl", CHOICES[:1])
    _, _, (row,) = evaluated("multiple_choice", CHOICES[1:], "shown", examples=[path], shots=1)
    assert "Answer with the letter alone.<|im_end|>\n<|im_start|>assistant\nA<|im_end|>" in row["prompt"]


@pytest.fixture
def evaluated(tmp_path, checkpoint):
    from workflow_scripts.suites.ask_suite import ask_suite

    def run(task, rows, folder, parent=(), tokenizer=None, longest=8, **shown):
        folder = tmp_path / folder
        folder.mkdir(exist_ok=True)
        read_items(folder, task, rows, **shown)
        paths = (folder / "report.json", folder / "answers.jsonl")
        settings = {"name": folder.name, "suite": "mine", "batch": 4, "longest": longest, "context": 256, "threads": 1}
        inputs = ([checkpoint], tokenizer or checkpoint, folder / "items.jsonl", ROOT / f"suites/{task}.yaml")
        ask_suite(*inputs, list(parent), *paths, work=Path(mkdtemp(dir=folder)), **settings)
        return paths, read_json(paths[0]), list(read_records(paths[1]))

    return run


def test_a_checkpoint_is_asked_and_compared_with_its_parent(evaluated):
    paths, report, rows = evaluated("gsm8k", SUMS, "first")
    assert report["score"]["of"] == len(rows) == 8
    assert report["too_long"] == 0
    assert all(
        set(row) == {"id", "instruction", "response", "domain", "answer", "right", "prompt", "too_long"} for row in rows
    )
    _, child, _ = evaluated("gsm8k", SUMS, "second", paths)
    assert child["parent"] == "first"
    assert child["versus_parent"]["p_value"] == 1.0


SCENE = {"activity_label": "Baking", "ctx": "[header] A cake [title] She mixes", "endings": ["it.", "them so."]}
TRUTHS = [
    {"question": "Can pigs fly?", "mc1_targets": {"Yes": 0, "No": 1, "Only at night": 0}},
    {"question": "Is water wet?", "mc1_targets": {"choices": ["Dry", "Wet"], "labels": [0, 1]}},
]


@pytest.mark.parametrize(
    ("task", "rows", "wanted", "asked"),
    [
        (
            "hellaswag",
            [SCENE | {"label": 1}, SCENE | {"ctx": "Two", "label": "0"}],
            [1, 0],
            "Baking: A cake. She mixes",
        ),
        ("truthful_qa", TRUTHS, [1, 1], "Can pigs fly?"),
    ],
)
def test_the_likeliest_choice_is_the_answer(evaluated, task, rows, wanted, asked):
    _, report, found = evaluated(task, rows, task)
    assert report["score"]["of"] == 2
    assert [int(row["response"]) for row in found] == wanted
    assert any(asked in row["prompt"] for row in found), found[0]["prompt"]
    assert all(isinstance(row["right"], bool) for row in found)


def test_questions_that_do_not_fit_are_counted_and_never_right(evaluated):
    long = {"question": "a b c d e f " * 400, "answer": "#### 1"}
    _, report, rows = evaluated("gsm8k", [*SUMS, long], "long")
    assert (report["too_long"], report["score"]["of"]) == (1, 9)
    assert [row["answer"] for row in rows if row["too_long"]] == [""]
    choices = [{"question": "a b c d e f " * 400, "choices": ["red", "loud"], "answer": place} for place in (0, 1)]
    _, report, rows = evaluated("multiple_choice", choices, "long_choices")
    assert (report["too_long"], report["score"]["right"]) == (2, 0)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("process_docs: !function utils.run", "no code"),
        ("use_prompt: promptsource:x", "use_prompt: not allowed"),
        ("unsafe_code: true", "unsafe_code: not allowed"),
        ("include: other.yaml", "include: not allowed"),
        ("metric_list: [{metric: exact_match, hf_evaluate: true}]", "none is loaded from the hub"),
        ("metric_list: [3]", "none is loaded from the hub"),
        ("[", "not a task file that can be read"),
    ],
)
def test_a_task_file_that_names_code_is_refused(tmp_path, added, said):
    text = (ROOT / "suites/gsm8k.yaml").read_text()
    (tmp_path / "own.yaml").write_text(f"{text}{added}\n")
    with pytest.raises(InputError, match=said):
        load_task(tmp_path / "own.yaml")


def test_a_metric_that_only_the_hub_knows_is_refused(tmp_path, tokenizer):
    from ingot.measuring.harness import ask

    text = (ROOT / "suites/gsm8k.yaml").read_text()
    (tmp_path / "own.yaml").write_text(text.replace("metric: exact_match", "metric: someone/their_metric"))
    items, _ = read_items(tmp_path, "gsm8k", SUMS[:1])
    with pytest.raises(InputError, match="the harness has no metric someone/their_metric"):
        ask(Knowing(tokenizer, {"Ann": "1"}), tmp_path / "own.yaml", items, 64, 512)


def test_the_templates_of_a_task_file_reach_nothing_of_python(tmp_path, tokenizer):
    from jinja2.exceptions import SecurityError

    from ingot.measuring.harness import ask

    text = (ROOT / "suites/gsm8k.yaml").read_text()
    escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    (tmp_path / "own.yaml").write_text(
        text.replace('doc_to_text: "{{question}}', f'doc_to_text: "{escape}{{{{question}}}}')
    )
    items, _ = read_items(tmp_path, "gsm8k", SUMS[:1])
    with pytest.raises(SecurityError):
        ask(Knowing(tokenizer, {"Ann": "1"}), tmp_path / "own.yaml", items, 64, 512)


def test_an_item_that_a_tokenizer_reads_as_turns_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"an item holds '<\|im_end\|>', which a tokenizer reads as a mark of a turn"):
        read_items(tmp_path, "gsm8k", [{"question": "a<|im_end|>b", "answer": "#### 1"}])


def test_a_task_file_never_has_the_harness_show_what_is_asked(tmp_path, tokenizer):
    from ingot.measuring.harness import ask

    text = (ROOT / "suites/gsm8k.yaml").read_text() + "num_fewshot: 2\nfewshot_split: train\n"
    (tmp_path / "own.yaml").write_text(text.replace("task: gsm8k", "task: own"))
    items, _ = read_items(tmp_path, "gsm8k", SUMS[:3])
    book = {f"Ann has {i} apples": f"#### {2 * i}" for i in range(3)}
    found = ask(Knowing(tokenizer, book), tmp_path / "own.yaml", items, 64, 512)
    assert [row["prompt"].count("user\n") for row in found] == [1] * 3
    path = write_rows(tmp_path / "examples.jsonl", SUMS[4:6])
    items, _ = read_items(tmp_path, "gsm8k", SUMS[:3], examples=[path], shots=2)
    found = ask(Knowing(tokenizer, book), tmp_path / "own.yaml", items, 64, 512)
    assert all("4+4" in row["prompt"] and "5+5" in row["prompt"] for row in found)


def test_the_likeliest_letter_is_the_choice(evaluated, checkpoint):
    """As transformers itself says, one conversation at a time."""
    import torch

    from ingot.inference.checkpoint import load
    from ingot.text import chat

    _, report, rows = evaluated("multiple_choice", CHOICES, "choices")
    model, tokenizer = load([checkpoint])
    for row in rows:
        two = "loud" in row["prompt"]
        ids = tokenizer(row["prompt"], add_special_tokens=False, return_tensors="pt")["input_ids"]
        letters = [tokenizer(letter)["input_ids"][0] for letter in ("AB" if two else "ABC")]
        with torch.no_grad():
            best = int(model(input_ids=ids).logits[0, -1, letters].argmax())
        assert row["right"] == (best == (0 if two else 1))
        assert row["prompt"] == chat.prompt_text(tokenizer, row["prompt"].split("user\n")[1].split("<|im_end|>")[0])
    assert report["score"]["of"] == 2


def test_choices_may_be_columns_of_a_table(evaluated):
    rows = [{"question": "Which is a colour?", "A": "loud", "B": "red", "C": "seven", "D": "fast", "answer": "B"}]
    _, _, (row,) = evaluated("multiple_choice", rows, "columns")
    assert "Which is a colour?\nA. loud\nB. red\nC. seven\nD. fast\nAnswer with the letter alone." in row["prompt"]
    assert row["response"] == 1


def test_a_model_with_another_template_than_in_training_is_not_measured(evaluated, checkpoint, tmp_path):
    from transformers import AutoTokenizer

    other = AutoTokenizer.from_pretrained(checkpoint)
    other.chat_template = str(other.chat_template).replace("assistant", "bot")
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(InputError, match="reads 8 of 8 items of mine other than in training"):
        evaluated("gsm8k", SUMS, "odd", tokenizer=tmp_path / "other")


@pytest.mark.graph
def test_gguf_and_checkpoint_give_the_same_answers(evaluated, checkpoint, f16, tmp_path):
    from workflow_scripts.suites.ask_suite_gguf import ask_suite_gguf

    _, _, rows = evaluated("gsm8k", SUMS, "first", longest=1)
    folder = tmp_path / "first"
    paths = (tmp_path / "gguf.json", tmp_path / "gguf.jsonl")
    ask_suite_gguf(
        f16, checkpoint, folder / "items.jsonl", ROOT / "suites/gsm8k.yaml",
        [folder / "report.json", folder / "answers.jsonl"], *paths,
        name="F16", suite="mine", context=256, longest=1, work=tmp_path / "work", threads=1,
    )  # fmt: skip
    assert read_json(paths[0])["parent"] == "first"
    same = sum(a["answer"] == b["answer"] for a, b in zip(rows, read_records(paths[1]), strict=True))
    assert same >= 6  # of 8: the best tokens of an untrained model are near ties
