"""Write the tiny world's raw corpus: sources in three shapes with planted flaws, and what is needed to judge them."""

import gzip
import itertools
import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingot.io.records import Record, write_records
from ingot.world import tasks

# Question and answer in five languages, with a blank for a number so that they are not copies of each other.
FOREIGN = {
    "de": (
        (
            "Erkläre in einem kurzen Satz, warum der Himmel am Abend des {n}. Tages rot wird.",
            "Das Licht legt dann einen langen Weg durch die Luft zurück.",
        ),
        (
            "Nenne {n} Dinge, die man auf eine lange Wanderung in den Bergen mitnehmen sollte.",
            "Wasser, Brot, eine warme Jacke und eine gute Karte.",
        ),
        (
            "Wie viele Tage dauert es, bis aus {n} Eiern kleine Küken schlüpfen?",
            "Es dauert ungefähr drei Wochen, wenn es immer warm genug ist.",
        ),
    ),
    "fr": (
        (
            "Explique en une phrase pourquoi les {n} feuilles de cet arbre tombent en automne.",
            "Les arbres gardent ainsi leur eau pour l'hiver.",
        ),
        (
            "Donne-moi {n} conseils pour bien dormir quand il fait très chaud dehors.",
            "Il faut fermer les volets, boire de l'eau et ouvrir la fenêtre la nuit.",
        ),
        (
            "Combien de jours faut-il pour que {n} graines de tomate commencent à pousser ?",
            "Il faut environ une semaine si la terre reste humide.",
        ),
    ),
    "es": (
        (
            "Explica en una frase por qué el mar es salado y los {n} ríos de esta tierra no lo son.",
            "Los ríos llevan sales que el mar guarda.",
        ),
        (
            "Dime {n} cosas que debo llevar cuando voy a la playa con mis hijos pequeños.",
            "Lleva agua, una sombrilla, crema y algo de comer.",
        ),
        (
            "¿Cuántas horas se necesitan para cocer {n} kilos de pan en un horno de leña?",
            "Se necesita casi una hora si el horno está muy caliente.",
        ),
    ),
    "ru": (
        (
            "Объясни одним предложением, почему зимой идёт снег, а в {n} дней лета идёт дождь.",
            "Зимой воздух холодный, и вода замерзает.",
        ),
        (
            "Назови {n} вещей, которые нужно взять с собой в лес, когда собираешь грибы.",
            "Корзину, нож, воду и тёплую одежду.",
        ),
        (
            "Сколько дней нужно, чтобы {n} семян подсолнуха начали расти в саду?",
            "Обычно нужна одна неделя, если земля тёплая.",
        ),
    ),
    "it": (
        (
            "Spiega in una frase perché la luna cambia forma durante i {n} giorni del mese.",
            "Vediamo solo la parte illuminata dal sole.",
        ),
        (
            "Dimmi {n} cose che devo comprare per preparare una buona cena per i miei amici.",
            "Compra pane, pomodori, formaggio e una bottiglia di vino.",
        ),
        (
            "Quanti giorni ci vogliono perché {n} piante di basilico crescano sul balcone?",
            "Ci vogliono circa tre settimane se hanno abbastanza luce.",
        ),
    ),
}
PERSONAL = (
    "Please answer to {name}.{name}@example.com when you are done.",
    "You can call me at +44 20 7946 0{digits} if it is unclear.",
)
REFUSALS = (
    "I'm sorry, but I can't assist with that.",
    "As an AI language model, I cannot do this.",
    "Sorry, I can't help with this request.",
)
LEFTOVERS = ("<|im_end|>", "[INST]", "Dear [your name],", "{{ question }}")


def alpaca(record: Record) -> Record:
    """Shape a task like Alpaca's records, with an empty `input`."""
    return {"instruction": record["instruction"], "input": "", "output": record["response"], **labels(record)}


def messages(record: Record) -> Record:
    """Shape a task as a conversation."""
    turns = [
        {"role": "user", "content": record["instruction"]},
        {"role": "assistant", "content": record["response"]},
    ]
    return {"messages": turns, **labels(record)}


def question(record: Record) -> Record:
    """Shape a task as question and answer."""
    return {"question": record["instruction"], "answer": record["response"], **labels(record)}


def labels(record: Record) -> Record:
    """Return what a source says about a record beside its text."""
    return {name: record[name] for name in ("domain", "difficulty", "checker")}


SHAPES: dict[str, Callable[[Record], Record]] = {"alpaca": alpaca, "messages": messages, "question": question}


def plant(tasks: list[Record], benchmark: list[Record], plants: dict[str, int], r: random.Random) -> list[Record]:
    """Return `tasks` with flawed records added, shuffled; each carries what was planted under `_plant`.

    `plants` counts, per kind: exact_duplicate, near_duplicate, contamination, language, personal, broken, encoding,
    secret, refusal, leftover.
    """

    def near(task: Record) -> Record:
        return task | {"instruction": f"{task['instruction']} Please."}

    def reformatted(task: Record) -> Record:
        return task | {"instruction": f"  {task['instruction'].upper()} "}

    def foreign(task: Record) -> Record:
        instruction, response = r.choice(FOREIGN[r.choice(list(FOREIGN))])
        return task | {"instruction": instruction.format(n=r.randint(2, 999)), "response": response, "checker": "text"}

    def personal(task: Record) -> Record:
        name = r.choice(tasks.PEOPLE).lower()
        extra = r.choice(PERSONAL).format(name=name, digits=r.randint(100, 999))
        return task | {"instruction": f"{task['instruction']} {extra}"}

    def secret(task: Record) -> Record:
        token = "".join(r.choices(string.ascii_letters, k=34))
        return task | {"instruction": f"{task['instruction']} My token is hf_{token}"}

    def refusal(task: Record) -> Record:
        return task | {"response": r.choice(REFUSALS), "checker": "text"}

    def leftover(task: Record) -> Record:
        return task | {"instruction": f"{task['instruction']} {r.choice(LEFTOVERS)}"}

    # A short text changes too much with one word more to remain a near duplicate; take long ones.
    long_tasks = [task for task in tasks if len(task["instruction"].split()) >= 7]
    makers: dict[str, tuple[list[Record], Callable[[Record], Record]]] = {
        "exact_duplicate": (tasks, dict),
        "near_duplicate": (long_tasks, near),
        "contamination": (benchmark, reformatted),
        "language": (tasks, foreign),
        "personal": (tasks, personal),
        "broken": (tasks, dict),
        "encoding": (tasks, dict),
        "secret": (tasks, secret),
        "refusal": (tasks, refusal),
        "leftover": (tasks, leftover),
    }
    planted = []
    for kind, count in plants.items():
        pool, make = makers[kind]
        planted += [make(task) | {"_plant": kind} for task in r.sample(pool, min(count, len(pool)))]
    mixed = tasks + planted
    r.shuffle(mixed)
    return mixed


def line_of(record: Record, shape: str) -> bytes:
    """Return the bytes of a source line; records planted as broken or wrongly encoded come out that way."""
    data = json.dumps(SHAPES[shape](record), ensure_ascii=False).encode()
    if record.get("_plant") == "broken":
        return data[: len(data) // 2]
    if record.get("_plant") == "encoding":
        return data.replace(b'": "', b'": "caf\xe9 ', 1)
    return data


def write_source(path: Path, lines: list[bytes]) -> None:
    """Write source lines, packed as the suffix says, with no time stamp inside."""
    data = b"".join(line + b"\n" for line in lines)
    if ".gz" in path.suffixes:
        data = gzip.compress(data, mtime=0)
    elif ".zst" in path.suffixes:
        import zstandard

        data = zstandard.ZstdCompressor().compress(data)
    path.write_bytes(data)


def generate(
    alpaca: Path,
    messages: Path,
    question: Path,
    pretraining: Path,
    benchmark: Path,
    truth: Path,
    *,
    counts: dict[str, int],
    mix: dict[str, dict[str, float]],
    plants: dict[str, int],
    test_share: float,
    seed: int,
) -> None:
    """Write three sources, the pretraining corpus, the benchmark and the ground truth of what was planted where.

    Benchmark prompts come from the part of the hash that `split` gives to the test set (`test_share` at its end), the
    pretraining corpus from the rest, so that no model has seen a question that it is asked.
    """
    pools = {d: {k: share for k, share in shares.items() if tasks.has(d, k)} for d, shares in mix.items()}
    easy = {domain: {"easy": 1.0} for domain in mix}
    border = 1 - test_share

    def drawn(
        count: int, seed: int, shares: dict[str, dict[str, float]], low: float, high: float, unique: bool
    ) -> list[Record]:
        stream = tasks.tasks(seed, shares, low, high, unique)
        return [vars(task) for task in itertools.islice(stream, count)]

    items = drawn(counts["benchmark"], seed + 1, pools, border, 1.0, True)
    corpus = drawn(counts["pretraining"], seed + 2, easy, 0.0, border, False)
    tasks = drawn(counts["records"], seed + 3, pools, 0.0, 1.0, True)
    mixed = plant(tasks, items, plants, random.Random(seed))
    write_records(benchmark, items)
    write_records(pretraining, ({"instruction": t["instruction"], "response": t["response"]} for t in corpus))
    known: list[dict[str, Any]] = []
    for shape, path in {"alpaca": alpaca, "messages": messages, "question": question}.items():
        share = mixed[list(SHAPES).index(shape) :: len(SHAPES)]
        write_source(path, [line_of(record, shape) for record in share])
        known += [
            {"shape": shape, "line": number, "plant": record["_plant"]}
            for number, record in enumerate(share, 1)
            if "_plant" in record
        ]
    write_records(truth, known)
