"""A checkpoint that came from elsewhere: what must be true of it before anybody builds on it.

What a library says while it loads such a checkpoint is about the checkpoint. So each error becomes a line that names
the file. Nothing of what comes with it is run, but for its chat template, in transformers' sandbox and not for long.
"""

import math
import multiprocessing
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingot.converting.llama_cpp_tools import refuse_remote_code
from ingot.errors import InputError
from ingot.io.records import read_json, write_json
from ingot.text import chat, tokenizer_files

TEMPLATE, SPECIAL = "chat_template.jinja", "special_tokens_map.json"
TEMPLATE_SECONDS = 10
MEMORY = 2 << 30
"""Bytes that trying something of a checkpoint may take."""
LONGEST_PROMPT = 1 << 20
MOST_TIMES = 4
"""How many times as many weights as the files hold a configuration may describe: packed ones hold several each."""
QUESTION, ANSWER = "Which of them is it?", "It is the second one."


@contextmanager
def refused(what: Path | str) -> Iterator[None]:
    """Turn whatever a library says about a file into an InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or "no message"
        raise InputError(f"{what}: cannot be used: {type(error).__name__}: {text[:500]}") from None


def in_child(what: str, seconds: int, compute: Callable[[], Any]) -> Any:
    """Compute something in a copy of this process, which is killed if it takes longer or more than MEMORY more.

    InputError names `what` then, or if it fails. A signal to this process would not do: a C function may never end.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
        try:
            sender.send((compute(), ""))
        except BaseException as error:
            sender.send((None, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"))

    child = context.Process(target=work, daemon=True)
    child.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise InputError(f"{what} ran for more than {seconds} seconds; it was stopped")
        found, failed = receiver.recv()
    except EOFError:
        raise InputError(f"{what} made the process that tried it crash") from None
    finally:
        child.kill()
        child.join()
    if failed:
        raise InputError(f"{what}: cannot be used: {failed}")
    return found


def check_object(path: Path) -> None:
    """Raise InputError unless a file holds a JSON object."""
    with refused(path):
        if not isinstance(read_json(path), dict):
            raise InputError(f"{path}: a JSON object is expected")


def check_files(folder: Path) -> None:
    """Raise InputError unless a folder has a configuration, a tokenizer and whole safetensors, and asks for no code."""
    from safetensors import safe_open

    for name in ("config.json", "tokenizer_config.json"):
        if not (folder / name).exists():
            raise InputError(f"{folder}: no {name}; it is not the folder of a Hugging Face checkpoint")
        check_object(folder / name)
    if (folder / SPECIAL).exists():
        check_object(folder / SPECIAL)
    refuse_remote_code(folder)
    if (folder / "adapter_config.json").exists():
        raise InputError(f"{folder}: it is an adapter (adapter_config.json) over another model; merge it first")
    if (folder / TEMPLATE).exists():
        with refused(folder / TEMPLATE):
            (folder / TEMPLATE).read_text(encoding="utf-8")
    weights = [path for path in sorted(folder.glob("*.safetensors")) if path.is_file()]
    if not weights:
        raise InputError(f"{folder}: no *.safetensors; pickled weights (.bin, .pt) are not loaded, convert them first")
    for file in weights:
        with refused(f"{file}: cut off or damaged, fetch it again"), safe_open(file, "pt") as tensors:
            tensors.keys()
    index = folder / "model.safetensors.index.json"
    if index.exists():
        with refused(index):
            shards = set(map(str, read_json(index)["weight_map"].values()))
        if missing := sorted(name for name in shards if name not in {file.name for file in weights}):
            raise InputError(f"{index}: {missing[0]!r} is not there, or not in this folder; fetch it again")


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a folder. InputError if there is none that works, or if it has no working template."""
    from transformers import AutoTokenizer

    with refused(f"{folder}: its tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return checked_tokenizer(tokenizer, folder)


def checked_tokenizer(tokenizer: Any, folder: Path) -> Any:
    """Return a tokenizer with a pad token. InputError if it does not work, or if it has no end token."""
    in_child(f"{folder}: its tokenizer", TEMPLATE_SECONDS, lambda: tokenizer(QUESTION)["input_ids"])
    if tokenizer.eos_token_id is None:
        raise InputError(f"{folder}: its tokenizer has no end token; name it as `eos_token` in tokenizer_config.json")
    if tokenizer.pad_token_id is None:
        # Any token will do: which tokens are padding, and which of them the loss counts, is known by place.
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def settle_template(tokenizer: Any, named: str | None, folder: Path) -> None:
    """See that a tokenizer has a chat template that works, and that its end token is what ends an answer in it.

    `named` is one of ingot.text.chat.TEMPLATES for a model that has no template. Some models, such as Gemma and Phi,
    name the end of a text as their end token. It never ends an answer: only a token of their template does.

    Raises InputError unless the template writes questions and answers.
    """
    if tokenizer.chat_template is None and named:
        tokenizer.chat_template = chat.TEMPLATES[named]
    elif tokenizer.chat_template is None:
        raise InputError(
            f"{folder}: its tokenizer has no chat template; use an instruction-tuned model, or name one by"
            " `base.template`"
        )
    elif named:
        raise InputError(f"base.template: {folder} has a chat template of its own; set it to null")
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    what = f"{folder}: its chat template"

    def written() -> tuple[str, str]:
        whole = chat.render(tokenizer, turns, add_generation_prompt=False)
        return chat.prompt_text(tokenizer, QUESTION)[:LONGEST_PROMPT], whole[:LONGEST_PROMPT]

    prompt, whole = in_child(what, TEMPLATE_SECONDS, written)
    for text, result in ((QUESTION, prompt), (QUESTION, whole), (ANSWER, whole)):
        if text not in result:
            raise InputError(f"{what} leaves out a message: {text!r} became {result[:100]!r}")
    after = whole.rpartition(ANSWER)[2].lstrip()
    special = tokenizer.added_tokens_decoder.values()
    ending = [str(token) for token in special if token.special and after.startswith(token.content)]
    if ending:
        tokenizer.eos_token = max(ending, key=len)


def bring_tokenizer(tokenizer: Any, source: Path, target: Path) -> None:
    """Write the files of a tokenizer as they are in `source`, but for the special tokens and the template that we set.

    transformers 5 would leave out what llama.cpp's converter reads: tokenizer.model and `added_tokens_decoder`.
    """
    tokenizer.save_pretrained(target)
    saved, config = target / "tokenizer_config.json", read_json(source / "tokenizer_config.json")
    if not (source / "tokenizer.json").exists():  # the one just written is what it was converted to
        config = read_json(saved)
    for name in (name for name in tokenizer_files.NAMES if name not in (saved.name, TEMPLATE)):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    added = {str(key): {"content": token.content, "special": token.special, "lstrip": token.lstrip,
                        "rstrip": token.rstrip, "single_word": token.single_word, "normalized": token.normalized}
             for key, token in tokenizer.added_tokens_decoder.items()}  # fmt: skip
    # All of them: with `added_tokens_decoder`, transformers no longer looks into special_tokens_map.json.
    special = {key: token for key, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    config.pop("chat_template", None)  # it has a file of its own
    write_json(saved, {"added_tokens_decoder": added, **config, **special})
    if (target / SPECIAL).exists():
        write_json(target / SPECIAL, read_json(target / SPECIAL) | special)


def set_special_tokens(network: Any, tokenizer: Any) -> None:
    """Let a model's configurations name the special tokens of its tokenizer."""
    for config in (network.config, network.generation_config):
        config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id


def check_size(folder: Path) -> None:
    """Raise InputError if config.json describes far more than the weights are, before that takes memory."""
    import torch
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    stored = 0
    tensors = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            sizes = [math.prod(weights.get_slice(name).get_shape()) for name in weights.keys()]  # noqa: SIM118
        stored, tensors = stored + sum(sizes), tensors + len(sizes)
    with refused(folder / "config.json"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        layers = config.get_text_config().num_hidden_layers
        if layers > tensors:
            raise InputError(f"{folder / 'config.json'}: {layers} layers, and the weights have {tensors} tensors")
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config)
    described = sum(weight.numel() for weight in network.parameters())
    if described > MOST_TIMES * stored:
        raise InputError(
            f"{folder / 'config.json'}: it describes {described:,} weights, and the files hold {stored:,}; they do not"
            " belong together"
        )


def load_network(folder: Path, dtype: Any) -> Any:
    """Load the weights of a folder. InputError unless they are just those of the configuration, and all finite."""
    from transformers import AutoModelForCausalLM

    check_size(folder)
    with refused(folder / "config.json"):
        network, loading = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    for kind, words in (
        ("missing_keys", "the weights lack"),
        ("mismatched_keys", "other shapes than in config.json have"),
        ("unexpected_keys", f"a {network.config.model_type} of this config.json does not have"),
        ("error_msgs", "loading says"),
    ):
        if found := sorted(one[0] if isinstance(one, tuple) else str(one) for one in loading.get(kind) or ()):
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise InputError(f"{folder}: {words} {', '.join(found[:3])}{more}; weights and config.json do not fit")
    check_weights(network, folder)
    return network


def check_weights(network: Any, source: Path) -> None:
    """Raise InputError if a weight is not a finite number."""
    import torch

    for name, weight in network.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(f"{source}: {name} is not finite (NaN or infinite); fetch the weights again")


def check_together(network: Any, tokenizer: Any, folder: Path) -> None:
    """Raise InputError if the tokenizer writes ids for which the model has no embedding."""
    rows = network.get_input_embeddings().weight.shape[0]
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise InputError(
            f"{folder}: the tokenizer has a token {highest}, and config.json and weights have {rows} embeddings: it is"
            " the tokenizer of another model"
        )
