"""More than two hundred broken inputs, by kind: what people have, what disks and networks make of it, and malice.

Each says what must come of it. A source is either refused as a whole, with its name, or the rows that are no records
are rejected with their reasons. A checkpoint, a packed file or a configuration is refused.
"""

import bz2
import gzip
import io
import json
import lzma
import math
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet
import zstandard

REFUSED = "refused"


@dataclass
class Broken:
    """One broken input: how it is made in a folder, and what must come of it."""

    name: str
    make: Callable[[Path], object]
    expected: object = REFUSED
    """REFUSED, or the reasons of the rejected rows."""
    kept: int = 0
    said: str = ""
    """What the refusal must say, beside the name of the file."""


def row(**changes):
    return {"question": "How many?", "answer": "Three."} | changes


def line(**changes):
    return json.dumps(row(**changes)).encode()


GOOD = line()
PARQUET = io.BytesIO()
pyarrow.parquet.write_table(
    pyarrow.Table.from_pylist([row(question=f"How many of {i}?") for i in range(3000)]), PARQUET, row_group_size=500
)
PARQUET = PARQUET.getvalue()
MANY = b"".join(line(question=f"How many of {i * i}?") + b"\n" for i in range(5000))
GZ, ZST = gzip.compress(MANY, mtime=0), zstandard.ZstdCompressor(write_checksum=True).compress(MANY)


def write(data):
    return lambda path: path.write_bytes(data)


# Lines of JSON that are no records, with the reason that each must get.
LINES = {
    "nul_byte": {"nul in a text": GOOD.replace(b"many", b"ma\x00y"), "only nuls": b"\x00" * 40},
    "invalid_utf8": {
        "latin 1": GOOD.replace(b"many", b"caf\xe9"),
        "overlong slash": GOOD.replace(b"many", b"\xc0\xaf"),
        "half a sign": GOOD.replace(b"many", b"\xe2\x82"),
        "encoded surrogate": GOOD.replace(b"many", b"\xed\xa0\x80"),
        "beyond unicode": GOOD.replace(b"many", b"\xf5\x80\x80\x80"),
        "only ff": b"\xff" * 30,
        "windows 1252 quotes": GOOD.replace(b"many", b"\x93many\x94"),
        "shift jis": '{"question": "こんにちは"}'.encode("shift_jis"),
    },
    "invalid_json": {
        "cut off": GOOD[:-3],
        "no opening": GOOD[1:],
        "single quotes": GOOD.replace(b'"', b"'"),
        "comma at the end": GOOD[:-1] + b",}",
        "comment": GOOD[:-1] + b"/* no */}",
        "two objects": GOOD + GOOD,
        "a hundred thousand brackets": b"[" * 100_000,
        "a hundred thousand objects": b'{"a":' * 100_000,
        "key without quotes": b'{question: "x", answer: "y"}',
        "hexadecimal": b'{"question": 0x1f, "answer": "y"}',
        "control sign in a text": GOOD.replace(b"many", b"ma\x01ny"),
        "unknown escape": GOOD.replace(b"many", b"ma\\xny"),
        "half an escape": GOOD.replace(b"many", b"ma\\u12"),
        "bare words": b"How many? Three.",
        "html": b"<!DOCTYPE html><html><body>404</body></html>",
        "yaml": b"question: How many?",
        "python": b"{'question': None, 'answer': True}",
        "a number of 5000 digits": b'{"question": ' + b"9" * 5000 + b', "answer": "y"}',
        "git conflict": b"<<<<<<< HEAD",
        "git lfs pointer": b"version https://git-lfs.github.com/spec/v1",
    },
    "duplicate_key": {
        "question twice": b'{"question": "a", "question": "b", "answer": "c"}',
        "twice inside": b'{"question": "a", "answer": "b", "more": {"x": 1, "x": 2}}',
    },
    "not_an_object": {
        "list": b'["How many?", "Three."]',
        "text": b'"How many?"',
        "number": b"5",
        "null": b"null",
        "true": b"true",
        "not a number": b"NaN",
    },
    "missing_fields": {
        "empty object": b"{}",
        "answer missing": b'{"question": "a"}',
        "other case": b'{"Question": "a", "Answer": "b"}',
        "no messages": b'{"messages": []}',
        "messages are text": b'{"messages": "hello"}',
        "messages of numbers": b'{"messages": [1, 2]}',
        "nobody answers": b'{"messages": [{"role": "user", "content": "a"}]}',
        "answer before question": json.dumps(
            {"messages": [{"role": "assistant", "content": "b"}, {"role": "user", "content": "a"}]}
        ).encode(),
        "only a system": b'{"messages": [{"role": "system", "content": "a"}, {"role": "assistant", "content": "b"}]}',
        "roles that nobody knows": b'{"conversations": [{"from": "x", "value": "a"}, {"from": "y", "value": "b"}]}',
        "no instances": b'{"instruction": "a", "instances": []}',
        "instances of text": b'{"instruction": "a", "instances": ["b"]}',
    },
    "not_text": {
        "question is true": line(question=True),
        "question is a list": line(question=["a"]),
        "question is an object": line(question={"text": "a"}),
        "answer is null": line(answer=None),
        "answer is false": line(answer=False),
        "answer is not a number": b'{"question": "a", "answer": NaN}',
        "pictures in a message": json.dumps(
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]},
                    {"role": "assistant", "content": "b"},
                ]
            }
        ).encode(),
        "context is a list": b'{"instruction": "a", "context": ["b"], "response": "c"}',
    },
    "empty_text": {
        "empty question": line(question=""),
        "blank answer": line(answer=" \t\n"),
        "blank by unicode": line(answer="\u2003\u00a0"),
        "empty message": b'{"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "b"}]}',
    },
    "lone_surrogate": {
        "half a pair in the question": b'{"question": "\\ud800", "answer": "b"}',
        "half a pair in the answer": b'{"question": "a", "answer": "\\udfff"}',
    },
    "bad_metadata": {
        "domain is a number": line(domain=5),
        "domain is a list": line(domain=["code"]),
        "domain without a letter": line(domain="../(1)"),
        "domain with half a pair": b'{"question": "a", "answer": "b", "domain": "\\ud800"}',
        "unknown difficulty": line(difficulty="impossible"),
        "difficulty is a list": line(difficulty=["easy"]),
        "unknown checker": line(checker="eval"),
        "checker is an object": line(checker={"run": "rm"}),
        "teacher is a list": line(teacher=["a"]),
        "score is a text": line(quality_score="high"),
        "score is true": line(quality_score=True),
        "score is infinite": b'{"question": "a", "answer": "b", "quality_score": Infinity}',
        "score is 1e999": b'{"question": "a", "answer": "b", "quality_score": 1e999}',
        "score is no number": b'{"question": "a", "answer": "b", "quality_score": NaN}',
    },
    "answer_does_not_fit_checker": {
        "a number in words": line(checker="number", answer="three"),
        "JSON cut off": line(checker="json", answer='{"a": 1'),
        "a choice of nothing": line(checker="choice", answer="whichever"),
    },
    "row_too_long": {"two megabytes": line(answer="x" * (2 << 20))},
}


def lines():
    """Every broken line, between two good ones that must be kept."""
    for reason, named in LINES.items():
        for name, text in named.items():
            data = GOOD + b"\n" + text + b"\n" + line(question="And how many now?") + b"\n"
            yield Broken(f"{name}.jsonl", write(data), [reason], kept=2)


def archive(kind):
    def make(path):
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("data.jsonl", GOOD)
        else:
            with tarfile.open(path, "w") as file:
                info = tarfile.TarInfo("data.jsonl")
                info.size = len(GOOD)
                file.addfile(info, io.BytesIO(GOOD))

    return make


def parquet(table):
    return lambda path: pyarrow.parquet.write_table(table, path)


def flipped(data, place, mask=0xFF):
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


class Runs:
    """A pickle that would leave a file where it is opened."""

    def __reduce__(self):
        return os.system, ("touch PWNED",)


def files():
    """Sources that cannot be read as a whole, or of which a part cannot."""
    yield Broken("empty.jsonl", write(b""), said="is empty")
    yield Broken("absent.jsonl", lambda path: None, said="no such source")
    yield Broken("folder.jsonl", lambda path: path.mkdir())
    yield Broken("circle.jsonl", lambda path: path.symlink_to(path.name), said="no such source")
    yield Broken("nowhere.jsonl", lambda path: path.symlink_to("gone"), said="no such source")
    yield Broken("pipe.jsonl", os.mkfifo)
    for kind, data in (("gz", GZ), ("zst", ZST)):
        for share in (0.01, 0.2, 0.5, 0.9, 0.999):
            cut = data[: max(5, int(len(data) * share))]
            yield Broken(f"cut at {share}.jsonl.{kind}", write(cut), said="damaged or cut off")
        for share in (0.1, 0.5, 0.9):
            yield Broken(f"flipped at {share}.jsonl.{kind}", write(flipped(data, int(len(data) * share))))
    yield Broken("wrong checksum.jsonl.gz", write(flipped(GZ, len(GZ) - 6)), said="damaged or cut off")
    yield Broken("bomb.jsonl.gz", write(gzip.compress(b" " * (100 << 20))), said="unpacks to more than")
    yield Broken(
        "bomb.jsonl.zst", write(zstandard.compress((b"\n" + b" " * 15) * (100 << 16))), said="unpacks to more than"
    )
    yield Broken("bomb of braces.json.gz", write(gzip.compress(b"[" + b"{" * (100 << 20))))
    yield Broken("packed twice.jsonl.gz", write(gzip.compress(gzip.compress(GOOD, mtime=0))), ["nul_byte"])
    yield Broken("bzip2.jsonl", write(bz2.compress(GOOD)), None)
    yield Broken("xz.jsonl", write(lzma.compress(GOOD)), None)
    yield Broken("archive.zip", archive("zip"), said="format is not known")
    yield Broken("archive.tar", archive("tar"), said="format is not known")
    yield Broken("picture.png", write(b"\x89PNG\r\n\x1a\n" + bytes(100)), said="format is not known")
    yield Broken("pickled.pkl", write(pickle.dumps(Runs())), said="format is not known")
    yield Broken("pickled.jsonl", write(pickle.dumps(Runs())), None)
    yield Broken("utf16.jsonl", write((GOOD.decode() + "\n").encode("utf-16")), said="is UTF-16")
    yield Broken("utf32.jsonl", write((GOOD.decode() + "\n").encode("utf-32")), said="is UTF-32")
    yield Broken("text.txt", write(b"How many?\nThree.\n"), said="format is not known")
    # JSON documents
    yield Broken("a text.json", write(b'"hello"'), said="must be a list")
    yield Broken("a number.json", write(b"5"), said="must be a list")
    yield Broken("no list.json", write(b'{"question": "a", "answer": "b"}'), said="must be a list")
    yield Broken("list inside.json", write(b'{"train": {"rows": [1]}}'), said="must be a list")
    yield Broken("cut list.json", write(b"[" + GOOD + b","), said="not valid JSON")
    yield Broken("cut record.json", write(b"[" + GOOD[:-5]), said="not valid JSON")
    yield Broken("garbage in a list.json", write(b"[" + GOOD + b", what, " + GOOD + b"]"), said="not valid JSON")
    yield Broken("lines called json.json", write(GOOD + b"\n" + GOOD), said="must be a list")
    yield Broken("latin.json", write(b"[" + GOOD.replace(b"many", b"caf\xe9") + b"]"), ["invalid_utf8"])
    yield Broken("blank.json", write(b" \n "), said="must be a list")
    yield Broken("endless text.json", write(b'["' + b"x" * (3 << 20)), said="row_bytes")
    yield Broken("mixed list.json", write(b"[1, null, " + GOOD + b"]"), ["not_an_object"] * 2, kept=1)
    # Tables
    yield Broken("same columns.csv", write(b"question,question\na,b\n"), said="the same name")
    yield Broken("other columns.csv", write(b"a,b\n1,2\n"), ["missing_fields"])
    yield Broken("ragged.csv", write(b"question,answer\na,b,c\na\n"), ["wrong_number_of_columns"] * 2)
    yield Broken("quote in the middle.csv", write(b'question,answer\n"a"b,c\nd,e\n'), ["invalid_csv"], kept=1)
    yield Broken("open quote.csv", write(b'question,answer\n"a,b\nc,d\n'), ["invalid_csv"])
    yield Broken("nul.csv", write(b"question,answer\na\x00,b\n"), None)
    yield Broken("latin.csv", write(b"question,answer\ncaf\xe9,b\n"), ["invalid_utf8"])
    yield Broken("latin header.csv", write(b"question,answer,caf\xe9\na,b,c\n"), None)
    yield Broken("long field.csv", write(b"question,answer\n" + b"x" * (2 << 20) + b",b\n"), None)
    yield Broken("binary.csv", write(bytes(range(256)) * 4), None)
    yield Broken("only a header.csv", write(b"question,answer\n"), [])
    # Parquet
    for share in (0.0, 0.3, 0.9, 0.999):
        yield Broken(f"cut at {share}.parquet", write(PARQUET[: max(4, int(len(PARQUET) * share))]), said="Parquet")
    yield Broken("only magic.parquet", write(b"PAR1PAR1"), said="Parquet")
    yield Broken("text.parquet", write(GOOD), said="Parquet")
    yield Broken("footer.parquet", write(b"PAR1" + b"\xff" * 4000 + struct.pack("<I", 0x7FFFFFFF) + b"PAR1"))
    yield Broken("flipped footer.parquet", write(flipped(PARQUET, len(PARQUET) - 60)), None)
    yield Broken("flipped page.parquet", write(flipped(PARQUET, 40)), None)
    yield Broken("bytes.parquet", parquet(pyarrow.table({"question": [b"\xff"], "answer": ["b"]})), ["not_text"])
    nested = pyarrow.table({"question": [{"text": ["a"]}], "answer": ["b"]})
    yield Broken("nested.parquet", parquet(nested), ["not_text"])
    yield Broken("nulls.parquet", parquet(pyarrow.table({"question": [None, "a"], "answer": ["b", None]})), None)
    yield Broken("no rows.parquet", parquet(pyarrow.table({"question": [], "answer": []})), [])
    yield Broken("no columns.parquet", parquet(pyarrow.table({})), [])


NAMES = (
    "two  spaces.jsonl", "$(touch PWNED).jsonl", "`touch PWNED`.jsonl", "a;touch PWNED;.jsonl", "-rf.jsonl",
    "data (1).jsonl", "a&b|c>d.jsonl", "'quoted'.jsonl", '"quoted".jsonl', "{braces}.jsonl", "{{braces}}.jsonl",
    "[1-9]*.jsonl", "new\nline.jsonl", "tab\t.jsonl", "ünïcode 数据 🎉.jsonl", "\u202eltr.jsonl", "%s%n.jsonl",
    "a=b,c:d.jsonl", "#hash.jsonl", "~.jsonl", "\\back\\slash.jsonl", "..jsonl", ".hidden.jsonl", "x" * 240 + ".jsonl",
    "@file.jsonl", "!history.jsonl", "e\u0301.jsonl",
)  # fmt: skip


def names():
    """Sources with names that some shell, template or tool reads as more than a name."""
    for name in NAMES:
        yield Broken(name, write(GOOD + b"\n{}\n"), ["missing_fields"], kept=1)


# --- checkpoints -----------------------------------------------------------------------------------------------------


def edit(name, **changes):
    def make(folder):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return make


def put(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def drop(name):
    return lambda folder: (folder / name).unlink()


def cut(name, share):
    def make(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return make


def tensors(change):
    """Change the weights of a checkpoint, which are {name: tensor}."""

    def make(folder):
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return make


def fill(value):
    def change(weights):
        weights["model.layers.0.mlp.up_proj.weight"][0, 0] = value

    return tensors(change)


def header(change):
    """Change the header of a file of safetensors, which is JSON."""

    def make(folder):
        path = folder / "model.safetensors"
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        head = json.loads(data[8 : 8 + size])
        change(head)
        text = json.dumps(head).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])

    return make


def overlap(head):
    names = [name for name in head if name != "__metadata__"]
    head[names[0]]["data_offsets"] = head[names[1]]["data_offsets"]


def other_dtype(head):
    next(value for name, value in head.items() if name != "__metadata__")["dtype"] = "Q4"


WEIGHTS = "model.safetensors"
CHECKPOINTS = {
    "no config": (drop("config.json"), "config.json"),
    "empty config": (put("config.json", b""), "config.json"),
    "config is no JSON": (put("config.json", b"{model_type: llama}"), "config.json"),
    "config is a list": (put("config.json", b"[]"), "config.json"),
    "config is not UTF-8": (put("config.json", b"\xff\xfe{}"), "config.json"),
    "config without a type": (put("config.json", b"{}"), "config.json"),
    "unknown architecture": (edit("config.json", model_type="mystery", architectures=["Mystery"]), "mystery"),
    "code with the model": (
        edit("config.json", auto_map={"AutoModelForCausalLM": "evil.Model"}),
        "auto_map",
    ),
    "code with the tokenizer": (
        edit("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Tokenizer", None]}),
        "auto_map",
    ),
    "other hidden size": (edit("config.json", hidden_size=128), "config.json"),
    "more layers than weights": (edit("config.json", num_hidden_layers=3), "config.json"),
    "heads that do not divide": (edit("config.json", num_attention_heads=3), ""),
    "negative layers": (edit("config.json", num_hidden_layers=-1), ""),
    "layers are text": (edit("config.json", num_hidden_layers="two"), ""),
    "other vocabulary size": (edit("config.json", vocab_size=99), "config.json"),
    "an encoder": (edit("config.json", model_type="bert", architectures=["BertModel"]), ""),
    "no tokenizer config": (drop("tokenizer_config.json"), "tokenizer_config.json"),
    "tokenizer config is no JSON": (put("tokenizer_config.json", b"{"), "tokenizer_config.json"),
    "no tokenizer": (drop("tokenizer.json"), "tokenizer"),
    "empty tokenizer": (put("tokenizer.json", b""), "tokenizer"),
    "tokenizer is no JSON": (put("tokenizer.json", b"{"), "tokenizer"),
    "tokenizer without a model": (put("tokenizer.json", b'{"version": "1.0"}'), "tokenizer"),
    "no template": (drop("chat_template.jinja"), "template"),
    "template with a mistake": (put("chat_template.jinja", b"{% for m in messages %}"), "template"),
    "template that fails": (put("chat_template.jinja", b"{{ raise_exception('no') }}"), "template"),
    "template that divides by zero": (put("chat_template.jinja", b"{{ 1 / 0 }}"), "template"),
    "template that runs on": (
        put(
            "chat_template.jinja",
            b"{% for i in range(99999999) %}{% for j in range(99999999) %}x{% endfor %}{% endfor %}",
        ),
        "template",
    ),
    "template that computes for ever": (put("chat_template.jinja", b"{{ 9**(9**9) }}"), "template"),
    "template that computes where nobody looks": (
        put("chat_template.jinja", b"{% if messages|length > 7 %}{{ 9**(9**9) }}{% endif %}"),
        "template",
    ),
    "template that takes all memory": (put("chat_template.jinja", b"{{ 'a' * 10**10 }}"), "template"),
    "template that wants out": (
        put("chat_template.jinja", b"{{ ''.__class__.__mro__[1].__subclasses__() }}"),
        "template",
    ),
    "template that forgets the messages": (put("chat_template.jinja", b"hello"), "template"),
    "template that is not UTF-8": (put("chat_template.jinja", b"\xff\xfe\x00"), "template"),
    "only pickled weights": (
        lambda folder: (folder / WEIGHTS).rename(folder / "pytorch_model.bin"),
        "pickled",
    ),
    "no weights": (drop(WEIGHTS), "safetensors"),
    "weights are a folder": (lambda folder: ((folder / WEIGHTS).unlink(), (folder / WEIGHTS).mkdir()), "safetensors"),
    "weights are a pipe": (lambda folder: ((folder / WEIGHTS).unlink(), os.mkfifo(folder / WEIGHTS)), "safetensors"),
    "pickled weights beside others": (
        lambda folder: (
            (folder / WEIGHTS).rename(folder / "decoy.safetensors"),
            put("pytorch_model.bin", b"x")(folder),
        ),
        "",
    ),
    "an adapter": (put("adapter_config.json", b'{"base_model_name_or_path": "/elsewhere"}'), "adapter"),
    "ten million layers": (edit("config.json", num_hidden_layers=10**7), "layers"),
    "a vocabulary of two billions": (edit("config.json", vocab_size=2 * 10**9), "do not"),
    "empty weights": (put(WEIGHTS, b""), WEIGHTS),
    "weights cut in the header": (cut(WEIGHTS, 0.0005), WEIGHTS),
    "weights cut in the middle": (cut(WEIGHTS, 0.5), WEIGHTS),
    "weights cut at the end": (cut(WEIGHTS, 0.9999), WEIGHTS),
    "header of 2^63 bytes": (put(WEIGHTS, struct.pack("<Q", 1 << 63) + b"{}"), WEIGHTS),
    "header of 100 MB of nothing": (put(WEIGHTS, struct.pack("<Q", 100_000_001) + b" " * 100), WEIGHTS),
    "header is no JSON": (put(WEIGHTS, struct.pack("<Q", 5) + b"{{{{{"), WEIGHTS),
    "tensors that overlap": (header(overlap), WEIGHTS),
    "a dtype that nobody knows": (header(other_dtype), WEIGHTS),
    "not a number": (fill(math.nan), "not finite"),
    "infinite": (fill(math.inf), "not finite"),
    "a tensor is missing": (tensors(lambda weights: weights.pop("model.norm.weight")), "model.norm.weight"),
    "a tensor too many": (
        tensors(lambda weights: weights.update(extra=weights["model.norm.weight"].clone())),
        "extra",
    ),
    "a tensor of another shape": (
        tensors(lambda weights: weights.update({"model.norm.weight": weights["model.norm.weight"][:5].clone()})),
        "model.norm.weight",
    ),
    "index of a shard that is missing": (
        lambda folder: (
            (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors"),
            (folder / "model.safetensors.index.json").write_text(
                json.dumps({"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}})
            ),
        ),
        "",
    ),
    "index that leads out": (
        lambda folder: (
            (folder / WEIGHTS).rename(folder / "model-00001-of-00001.safetensors"),
            (folder / "model.safetensors.index.json").write_text(
                json.dumps({"weight_map": {"model.norm.weight": "../../secret.safetensors"}})
            ),
        ),
        "",
    ),
}


# --- configurations --------------------------------------------------------------------------------------------------

CONFIGURATIONS = {
    "not YAML": ("a: [", "config.yaml"),
    "a tab": ("a:\n\t- b", "config.yaml"),
    "a list": ("- preset: tiny", "mapping"),
    "a text": ("hello", "mapping"),
    "nothing": ("", "mapping"),
    "a Python object": ("preset: !!python/object/apply:os.system ['touch PWNED']", "config.yaml"),
    "an unknown tag": ("preset: !secret x", "config.yaml"),
    "an anchor of nothing": ("preset: *nothing", "config.yaml"),
    "unknown key": ("presets: tiny", "presets"),
    "unknown preset": ("preset: tinny", "tinny"),
    "preset is a list": ("preset: [tiny]", "preset"),
    "preset that leads out": ("preset: ../../../etc/passwd", "preset"),
    "preset that is a folder": ("preset: presets", "preset"),
    "extends in the configuration": ("extends: tiny", "extends"),
    "seed is text": ("preset: tiny\nseed: many", "seed"),
    "seed is negative": ("preset: tiny\nseed: -1", "seed"),
    "threads is zero": ("preset: tiny\nthreads: 0", "threads"),
    "threads is a bool": ("preset: tiny\nthreads: true", "threads"),
    "context is not a number": ("preset: tiny\ncontext: .nan", "context"),
    "context is infinite": ("preset: tiny\ncontext: .inf", "context"),
    "context is enormous": ("preset: tiny\ncontext: 999999999999", "context"),
    "chain is text": ("preset: tiny\nchain: adapt", "chain"),
    "chain with an unknown step": ("preset: tiny\nchain: [adopt]", "adopt"),
    "chain twice the same": ("preset: tiny\nchain: [adapt, adapt]", "chain"),
    "recover before prune": ("preset: tiny\nchain: [adapt, merge, recover, prune]", "recover"),
    "merge without an adapter": ("preset: tiny\nchain: [merge]", "merge"),
    "sources is text": ("preset: tiny\nsources: data.jsonl", "sources"),
    "source without a name": ("preset: tiny\nsources: [{path: a, domain: x}]", "sources"),
    "source without data": ("preset: tiny\nsources: [{name: a, domain: x}]", "sources"),
    "two sources of one name": (
        "preset: tiny\nsources: [{name: a, path: x, domain: x}, {name: a, path: y, domain: x}]",
        "sources",
    ),
    "source with a name that leads out": ("preset: tiny\nsources: [{name: ../a, path: x, domain: x}]", "sources"),
    "source whose pattern fits nothing": ("preset: tiny\nsources: [{name: a, path: 'no/*.x', domain: x}]", "no/*.x"),
    "zero parts": ("preset: tiny\nsources: [{name: a, path: x, domain: x, parts: 0}]", "parts"),
    "sample of two": ("preset: tiny\nsources: [{name: a, path: x, domain: x, sample: 2}]", "sample"),
    "unknown format": ("preset: tiny\nsources: [{name: a, path: x, domain: x, format: xls}]", "format"),
    "unknown shape": ("preset: tiny\nsources: [{name: a, path: x, domain: x, shape: alpacca}]", "shape"),
    "shares beyond the whole": ("preset: tiny\nsplit: {shares: {valid: 0.6, test: 0.6}}", "split"),
    "unknown GGUF type": ("preset: tiny\ngguf: {types: [Q4_K_X]}", "gguf"),
    "served type is not built": ("preset: tiny\ngguf: {types: [F16], serve: Q8_0}", "serve"),
    "no types": ("preset: tiny\ngguf: {types: []}", "gguf"),
    "base without a kind": ("preset: tiny\nbase: {kind: cloud}", "base"),
    "hub without a commit": ("preset: tiny\nbase: {kind: hub, model: a/b, revision: main}", "revision"),
    "local without a folder": ("preset: tiny\nbase: {kind: local}", "base"),
    "gate of an unknown step": ("preset: tiny\ngates: {adopt: {}}", "adopt"),
    "gate with an unknown limit": ("preset: tiny\ngates: {adapt: {max_fun: 1}}", "max_fun"),
    "negative rank": ("preset: tiny\nadapt: {training: {rank: -1}}", "rank"),
    "learning rate of text": ("preset: tiny\nadapt: {training: {learning_rate: fast}}", "learning_rate"),
    "learning rate of zero": ("preset: tiny\nadapt: {training: {learning_rate: 0}}", "learning_rate"),
    "modifier of an unknown domain": ("preset: tiny\nmodifiers: {domains: ['']}", "domains"),
    "secret in an endpoint's URL": (
        "preset: tiny\njudge: {endpoint: 'http://user:password@host/v1'}",
        "endpoint",
    ),
    "suite without data": ("preset: tiny\nask_suite: {suites: [{name: a, task: gsm8k}]}", "data"),
    "suite with a name that leads out": (
        "preset: tiny\nask_suite: {suites: [{name: ../a, task: gsm8k, data: x}]}",
        "ask_suite",
    ),
}
