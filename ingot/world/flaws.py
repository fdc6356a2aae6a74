"""Flawed records to plant in the sources of the tiny world: what the data stage has to find."""

import random
import string
from collections.abc import Callable

from ingot.io.records import Record
from ingot.settings.world import Plant
from ingot.world.words import PEOPLE

# Questions and answers in five languages. Each question has a blank for a number, so that no two are copies.
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
LONG = 7
"""Words of a question to which one word more is a near duplicate; it would change a shorter one too much."""


def plant(records: list[Record], benchmark: list[Record], counts: dict[Plant, int], r: random.Random) -> list[Record]:
    """Return the records with flawed ones among them, shuffled; each flawed one says under `_plant` what it is.

    `counts` says how many to plant of each kind of flaw.
    """

    def near(record: Record) -> Record:
        return record | {"instruction": f"{record['instruction']} Please."}

    def reformatted(record: Record) -> Record:
        return record | {"instruction": f"  {record['instruction'].upper()} "}

    def foreign(record: Record) -> Record:
        instruction, response = r.choice(FOREIGN[r.choice(list(FOREIGN))])
        text = instruction.format(n=r.randint(2, 999))
        return record | {"instruction": text, "response": response, "checker": "text"}

    def personal(record: Record) -> Record:
        name = r.choice(PEOPLE).lower()
        extra = r.choice(PERSONAL).format(name=name, digits=r.randint(100, 999))
        return record | {"instruction": f"{record['instruction']} {extra}"}

    def secret(record: Record) -> Record:
        token = "".join(r.choices(string.ascii_letters, k=34))
        return record | {"instruction": f"{record['instruction']} My token is hf_{token}"}

    def refusal(record: Record) -> Record:
        return record | {"response": r.choice(REFUSALS), "checker": "text"}

    def leftover(record: Record) -> Record:
        return record | {"instruction": f"{record['instruction']} {r.choice(LEFTOVERS)}"}

    long = [record for record in records if len(record["instruction"].split()) >= LONG]
    makers: dict[Plant, tuple[list[Record], Callable[[Record], Record]]] = {
        "exact_duplicate": (records, dict),
        "near_duplicate": (long, near),
        "contamination": (benchmark, reformatted),
        "language": (records, foreign),
        "personal": (records, personal),
        "broken": (records, dict),
        "encoding": (records, dict),
        "secret": (records, secret),
        "refusal": (records, refusal),
        "leftover": (records, leftover),
    }
    planted = []
    for kind, count in counts.items():
        pool, make = makers[kind]
        planted += [make(record) | {"_plant": kind} for record in r.sample(pool, min(count, len(pool)))]
    mixed = records + planted
    r.shuffle(mixed)
    return mixed


def damage(line: bytes, kind: str | None) -> bytes:
    """Break off, or wrongly encode, the line of a record that was planted as such."""
    if kind == "broken":
        return line[: len(line) // 2]
    if kind == "encoding":
        return line.replace(b'": "', b'": "caf\xe9 ', 1)
    return line
