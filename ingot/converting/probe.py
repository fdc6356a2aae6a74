"""Compare a GGUF file with the checkpoint that it belongs to, in a process of its own: llama.cpp may abort.

    python -m ingot.converting.probe GGUF CHECKPOINT [--answers | --vocabulary]

Both must turn texts of many kinds into the same tokens. With `--answers`, both must also go on with them alike. With
`--vocabulary`, the file has no weights.
"""

import json
import os
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.light_imports import import_light

DECOMPOSED = "e\u0301"
# Texts in which tokenizers like to differ.
TEXTS = (
    "Hello, world!",
    "  two  spaces\n\n\tand a tab",
    "3.14159, 1,000,000 and x2y3",
    "I'm, you're, they'LL, it's",
    "a\r\nb\r\n",
    "Ünïcode, café, naïve, Straße",
    "数据 и данные مرحبا שלום",
    "हिन्दी ภาษาไทย 한국어 こんにちは",
    "🎉 👩\u200d👩\u200d👧 ☃ \u200b\u202e",
    "e\u0301 \u00e9",
    "def f(x):\n    return x**2  # squared\n",
    '{"name": "get", "arguments": {"id": 7}}',
    "....!!!???---___",
    " ",
    "\n",
    "a" * 100,
    "https://example.org/a?b=c&d=%20",
    "<b>bold</b> & \\n \\\\",
    "C:\\Users\\name",
    "$x^{2} \\frac{a}{b}$",
)
QUESTIONS = ("What is the capital of France?", "Write the numbers from one to five.", "Say hello in a friendly way.")
ANSWER_TOKENS = 24
PROBE_SECONDS = 1800
LEAST_AGREEMENT = 0.9
"""The share of next tokens that both must predict alike. Quantised files of one model reach .95 and more."""


def compare_tokens(llama: Any, tokenizer: Any) -> list[str]:
    """List the texts that llama.cpp and a tokenizer turn into different tokens.

    Some tokenizers, such as Qwen's, bring texts to Unicode's form NFC first. llama.cpp never does, so it gets them so.
    """
    from ingot.text import chat

    def tokens(text: str) -> Any:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def tokens_of_file(text: str) -> Any:
        return llama.tokenize(text.encode(), add_bos=False, special=True)

    normalising = tokens(DECOMPOSED) == tokens(unicodedata.normalize("NFC", DECOMPOSED))
    if normalising:
        sys.stderr.write("texts that are not in Unicode's form NFC become other tokens in llama.cpp\n")
    prompts = [chat.prompt_text(tokenizer, text) for text in (*TEXTS, *QUESTIONS)]
    return [
        text
        for text in (*TEXTS, *prompts)
        if tokens_of_file(unicodedata.normalize("NFC", text) if normalising else text) != tokens(text)
    ]


def compare_answers(model: Any, network: Any, tokenizer: Any) -> dict[str, Any]:
    """Say how alike the two go on: the share of equal next tokens along the answers of the file, and both answers."""
    import torch

    from ingot.text import chat

    same = of = 0
    answers = []
    for question in QUESTIONS:
        prompt = tokenizer(chat.prompt_text(tokenizer, question), add_special_tokens=False)["input_ids"]
        (sequence,) = model.decoder.answers([prompt], [ANSWER_TOKENS])
        ids = torch.tensor([prompt + sequence.chosen])
        with torch.no_grad():
            predicted = network(ids).logits[0, len(prompt) - 1 : -1].argmax(-1).tolist()
        same += sum(a == b for a, b in zip(predicted, sequence.chosen, strict=True))
        of += len(sequence.chosen)
        answers.append(tokenizer.decode(sequence.chosen, skip_special_tokens=True))
    return {"same": same, "of": of, "answers": answers}


def probe(gguf: Path, checkpoint: Path, *options: str) -> dict[str, Any]:
    """Compare a GGUF file with a checkpoint, in another process; return what came of it. The options are those above.

    InputError if they differ, or if llama.cpp crashes.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "ingot.converting.probe",
        str(gguf),
        str(checkpoint),
        *options,
    ]
    # Else llama.cpp, where it crashes, would let gdb write a trace of its calls first, which takes ten seconds.
    quiet = {"GGML_NO_BACKTRACE": "1"}
    environment = {**os.environ, **quiet, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{gguf}: llama.cpp was not done with a few texts after {PROBE_SECONDS} seconds") from None
    sys.stderr.write(done.stderr)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise InputError(
            f"{gguf}: llama.cpp crashed ({name}) at its first texts; its tokenizer or weights do not suit it"
        )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise InputError(f"{gguf}: llama.cpp cannot use it: {last.removeprefix('ingot: ')}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found["other_tokens"]:
        raise InputError(
            f"{gguf}: llama.cpp turns {len(found['other_tokens'])} of {found['texts']} texts into other tokens than"
            f" {checkpoint}, such as {found['other_tokens'][0][:60]!r}; answers would not be those of the model"
        )
    if "--answers" in options and found["same"] < LEAST_AGREEMENT * found["of"]:
        raise InputError(
            f"{gguf}: llama.cpp and {checkpoint} predict only {found['same']} of {found['of']} tokens alike"
        )
    return found


def main() -> None:
    """Compare the two that the command line names, and print what came of it as JSON."""
    import_light()
    import llama_cpp
    from transformers import AutoTokenizer

    from ingot.inference.gguf_model import GgufModel

    gguf, checkpoint, options = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    try:
        if "--vocabulary" in options:
            model, llama = None, llama_cpp.Llama(str(gguf), vocab_only=True, verbose=False)
        else:
            model = GgufModel(gguf, tokenizer, 256, 1, {})
            llama = model.llama
    except (InputError, ValueError) as error:
        raise SystemExit(f"ingot: {error}") from None
    found: dict[str, Any] = {"texts": 2 * len(TEXTS) + len(QUESTIONS), "other_tokens": compare_tokens(llama, tokenizer)}
    if "--answers" in options:
        import torch
        from transformers import AutoModelForCausalLM

        network = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
        found |= compare_answers(model, network, tokenizer)
    print(json.dumps(found))  # noqa: T201
    del llama, model  # before the interpreter takes llama.cpp's functions away


if __name__ == "__main__":
    main()
