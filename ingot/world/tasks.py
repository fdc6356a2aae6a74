"""The tiny world: six domains of small tasks, each with an exact answer, from which the default corpus is drawn.

Every skill fills slots at random and knows the right answer. `easy` wordings are what the base is pretrained on,
`medium` wordings ask for the same skills in new words (the adapter's part), `hard` skills are new tasks (the
modifiers' part).
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ingot.text.forms import unit_hash

DOMAINS = ("code", "reasoning", "math", "automation", "knowledge", "instruction")
DIFFICULTIES = ("easy", "medium", "hard")

CITIES = """
    Paris London Tokyo Berlin Madrid Rome Oslo Lima Cairo Delhi Seoul Dublin Vienna Athens Lisbon Prague
""".split()
COUNTRIES = """
    France England Japan Germany Spain Italy Norway Peru Egypt India Korea Ireland Austria Greece Portugal Czechia
""".split()
PEOPLE = """
    Ann Bob Carl Dora Emma Finn Gus Hana Ivan Jane Kurt Lily Max Nina Otto Pia Rosa Sam Tess Uwe Vera Will Yara Zoe
""".split()
THINGS = """
    cat dog sun tree bird moon fish lamp desk rain snow wind fire gold rock sand leaf ring song door milk corn rice
    bear wolf lion frog duck goat ship boat road star cloud stone river house bread apple lemon grape peach
""".split()
OPPOSITES = dict(
    pair.split(":")
    for pair in """
    hot:cold big:small fast:slow day:night up:down old:new rich:poor dark:light wet:dry full:empty hard:soft
    loud:quiet open:closed early:late high:low long:short
    """.split()
)
FUNCTION_NAMES = """
    f g h k p q u v w fn op calc run go solve work func helper step apply main test core base unit task job make get
    do act use scan set put add sub fix map fold
""".split()
EXPRESSIONS = {  # what the function does -> (arguments, expression)
    "adds two numbers": ("a, b", "a + b"),
    "subtracts b from a": ("a, b", "a - b"),
    "multiplies two numbers": ("a, b", "a * b"),
    "returns the square of x": ("x", "x * x"),
    "doubles x": ("x", "2 * x"),
    "returns the larger of two numbers": ("a, b", "max(a, b)"),
    "returns the smaller of two numbers": ("a, b", "min(a, b)"),
    "checks if n is even": ("n", "n % 2 == 0"),
    "checks if n is odd": ("n", "n % 2 == 1"),
    "reverses a string s": ("s", "s[::-1]"),
    "returns the length of s": ("s", "len(s)"),
    "sums a list xs": ("xs", "sum(xs)"),
    "returns the first item of xs": ("xs", "xs[0]"),
    "returns the last item of xs": ("xs", "xs[-1]"),
    "negates x": ("x", "-x"),
}


@dataclass(frozen=True)
class Skill:
    """One kind of task: how to draw it, how its answer is checked, and how it may be asked for."""

    domain: str
    checker: str
    draw: Callable[[random.Random], tuple[dict[str, object], str]]
    wordings: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Task:
    """One question of the world with its exact answer."""

    domain: str
    difficulty: str
    checker: str
    instruction: str
    response: str


def _call(name: str, **arguments: object) -> str:
    return json.dumps({"name": name, "arguments": arguments})


def _function(r: random.Random) -> tuple[dict[str, object], str]:
    what = r.choice(list(EXPRESSIONS))
    arguments, expression = EXPRESSIONS[what]
    name = r.choice(FUNCTION_NAMES)
    return {"name": name, "what": what}, f"def {name}({arguments}):\n    return {expression}"


def _lambda(r: random.Random) -> tuple[dict[str, object], str]:
    what = r.choice(list(EXPRESSIONS))
    arguments, expression = EXPRESSIONS[what]
    name = r.choice(FUNCTION_NAMES)
    return {"name": name, "what": what}, f"{name} = lambda {arguments}: {expression}"


def _constant(r: random.Random) -> tuple[dict[str, object], str]:
    name, value = r.choice(FUNCTION_NAMES), r.choice((r.randint(0, 9), '"' + r.choice(THINGS) + '"'))
    return {"name": name, "value": value}, f"{name} = {value}"


def _numbers(answer: Callable[[list[int]], list[int]]) -> Callable[[random.Random], tuple[dict[str, object], str]]:
    def draw(r: random.Random) -> tuple[dict[str, object], str]:
        numbers = [r.randint(0, 9) for _ in range(r.randint(3, 6))]
        return {"numbers": " ".join(map(str, numbers))}, " ".join(map(str, answer(numbers)))

    return draw


def _sum(r: random.Random) -> tuple[dict[str, object], str]:
    a, b = r.randint(0, 9), r.randint(0, 9)
    return {"a": a, "b": b, "who": r.choice(PEOPLE), "thing": r.choice(THINGS)}, str(a + b)


def _difference(r: random.Random) -> tuple[dict[str, object], str]:
    b, a = sorted((r.randint(0, 9), r.randint(0, 9)))
    return {"a": a, "b": b, "who": r.choice(PEOPLE), "thing": r.choice(THINGS)}, str(a - b)


def _weather(r: random.Random) -> tuple[dict[str, object], str]:
    city, unit = r.choice(CITIES), r.choice(("celsius", "fahrenheit"))
    return {"city": city, "unit": unit}, _call("get_weather", city=city, unit=unit)


def _reminder(r: random.Random) -> tuple[dict[str, object], str]:
    thing, time = r.choice(THINGS), f"{r.randint(0, 23):02d}:{r.choice((0, 15, 30, 45)):02d}"
    return {"thing": thing, "time": time}, _call("set_reminder", text=thing, time=time)


def _trip(r: random.Random) -> tuple[dict[str, object], str]:
    start, end = r.sample(CITIES, 2)
    count = r.randint(1, 9)
    return {"start": start, "end": end, "count": count}, _call("book_trip", start=start, end=end, count=count)


def _call_person(r: random.Random) -> tuple[dict[str, object], str]:
    who, thing = r.choice(PEOPLE), r.choice(THINGS)
    return {"who": who, "thing": thing}, _call("call_person", person=who, about=thing)


def _order(r: random.Random) -> tuple[dict[str, object], str]:
    thing, who, count = r.choice(THINGS), r.choice(PEOPLE), r.randint(1, 9)
    return {"thing": thing, "who": who, "count": count}, _call("order_item", item=thing, person=who, count=count)


def _message(r: random.Random) -> tuple[dict[str, object], str]:
    thing, who = r.choice(THINGS), r.choice(PEOPLE)
    return {"thing": thing, "who": who}, _call("send_message", person=who, text=thing)


def _capital(r: random.Random) -> tuple[dict[str, object], str]:
    i = r.randrange(len(COUNTRIES))
    return {"country": COUNTRIES[i], "who": r.choice(PEOPLE)}, CITIES[i]


def _opposite(r: random.Random) -> tuple[dict[str, object], str]:
    word = r.choice(list(OPPOSITES))
    return {"word": word, "who": r.choice(PEOPLE)}, OPPOSITES[word]


def _repeat(r: random.Random) -> tuple[dict[str, object], str]:
    thing, count = r.choice(THINGS), r.choice(("two", "three", "four"))
    times = {"two": 2, "three": 3, "four": 4}[count]
    return {"thing": thing, "count": count, "who": r.choice(PEOPLE)}, " ".join([thing] * times)


def _uppercase(r: random.Random) -> tuple[dict[str, object], str]:
    words = " ".join(r.sample(THINGS, r.randint(1, 2)))
    return {"words": words}, words.upper()


def _join(r: random.Random) -> tuple[dict[str, object], str]:
    first, second = r.sample(THINGS, 2)
    return {"first": first, "second": second}, f"{first} and {second}"


SKILLS = (
    Skill(
        "code",
        "python",
        _function,
        {
            "easy": (
                "Write a Python function {name} that {what}.",
                "Python function {name}: {what}.",
                "Code {name}: it {what}.",
            ),
            "medium": ("Define {name} in Python so that it {what}.", "I need code for {name}, which {what}."),
        },
    ),
    Skill(
        "code",
        "python",
        _constant,
        {
            "easy": ("Set {name} to {value}.", "Python: {name} is {value}.", "Let {name} be {value}."),
            "medium": ("Give {name} the value {value}.", "Store {value} as {name}."),
        },
    ),
    Skill(
        "code",
        "python",
        _lambda,
        {"hard": ("Write a lambda {name} that {what}.", "As a one-line lambda: {name} {what}.")},
    ),
    Skill(
        "reasoning",
        "text",
        _numbers(sorted),
        {
            "easy": ("Sort ascending: {numbers}", "Sort: {numbers}", "{numbers} - sort them"),
            "medium": ("Put these in rising order: {numbers}", "Order from low to high: {numbers}"),
        },
    ),
    Skill(
        "reasoning",
        "text",
        _numbers(lambda xs: [max(xs)]),
        {
            "easy": ("Largest of: {numbers}", "Maximum: {numbers}", "{numbers} - which is largest"),
            "medium": ("Which number is the greatest? {numbers}", "Find the top number: {numbers}"),
        },
    ),
    Skill(
        "reasoning",
        "text",
        _numbers(lambda xs: [min(xs)]),
        {
            "easy": ("Smallest of: {numbers}", "Minimum: {numbers}", "{numbers} - which is smallest"),
            "medium": ("Which number is the least? {numbers}", "Find the bottom number: {numbers}"),
        },
    ),
    Skill(
        "reasoning",
        "text",
        _numbers(lambda xs: [max(xs), min(xs)]),
        {"hard": ("Largest, then smallest: {numbers}", "Give both ends, high one first: {numbers}")},
    ),
    Skill(
        "math",
        "number",
        _sum,
        {
            "easy": (
                "What is {a} + {b}? {who} asks.",
                "{who} asks: {a} + {b}?",
                "{who} adds {a} {thing} and {b} {thing}.",
            ),
            "medium": ("{who} has {a} {thing} and gets {b} more. How many now?", "Add {a} and {b} for {who}."),
        },
    ),
    Skill(
        "math",
        "number",
        _difference,
        {
            "easy": (
                "What is {a} - {b}? {who} asks.",
                "{who} asks: {a} - {b}?",
                "{who} takes {b} {thing} from {a} {thing}.",
            ),
            "medium": ("{who} has {a} {thing} and loses {b}. How many are left?", "Take {b} from {a} for {who}."),
        },
    ),
    Skill(
        "automation",
        "json",
        _weather,
        {
            "easy": (
                "What is the weather in {city} in {unit}?",
                "Weather: {city}, {unit}.",
                "{unit} weather of {city}?",
            ),
            "medium": ("Give me the {unit} weather for {city}.", "How is {city} today? Use {unit}."),
        },
    ),
    Skill(
        "automation",
        "json",
        _reminder,
        {
            "easy": (
                "Remind me about the {thing} at {time}.",
                "Reminder at {time}: {thing}.",
                "{thing} at {time}, remind me.",
            ),
            "medium": ("At {time} I must think of the {thing}.", "Do not let me forget the {thing} at {time}."),
        },
    ),
    Skill(
        "automation",
        "json",
        _trip,
        {
            "easy": ("Book {count} tickets from {start} to {end}.", "Trip: {start} to {end}, {count} tickets."),
            "medium": ("I need {count} tickets, {start} to {end}.", "Take {count} of us from {start} to {end}."),
        },
    ),
    Skill(
        "automation",
        "json",
        _call_person,
        {
            "easy": ("Call {who} about the {thing}.", "Phone {who}: {thing}.", "{thing}, call {who}."),
            "medium": ("Give {who} a ring, it is the {thing}.", "Tell {who} on the phone of the {thing}."),
        },
    ),
    Skill(
        "automation",
        "json",
        _order,
        {"hard": ("Order {count} {thing} for {who}.", "{who} wants {count} {thing}. Please order.")},
    ),
    Skill(
        "automation",
        "json",
        _message,
        {"hard": ("Message {who} about the {thing}.", "Write to {who}: {thing}.")},
    ),
    Skill(
        "knowledge",
        "text",
        _capital,
        {
            "easy": (
                "What is the capital of {country}? {who} asks.",
                "{who} asks: capital of {country}?",
                "{country}: name its capital, {who}.",
            ),
            "medium": ("{country} has which main city, {who}?", "{who}, where is the seat of {country}?"),
        },
    ),
    Skill(
        "knowledge",
        "text",
        _opposite,
        {
            "easy": (
                "What is the opposite of {word}? {who} asks.",
                "{who} asks: opposite of {word}?",
                "{word}: name its opposite, {who}.",
            ),
            "medium": ("{word} is not what, {who}?", "{who}, what is the reverse of {word}?"),
        },
    ),
    Skill(
        "instruction",
        "text",
        _repeat,
        {
            "easy": (
                "Repeat the word {thing} {count} times for {who}.",
                "{who} asks: {thing}, {count} times.",
                "{thing} {count} times",
            ),
            "medium": ("Say {thing} to {who}, {count} times in all.", "{who} wants to hear {thing} {count} times."),
        },
    ),
    Skill(
        "instruction",
        "text",
        _uppercase,
        {
            "easy": ("Uppercase, please: {words}", "Uppercase: {words}", "{words} - in uppercase"),
            "medium": ("Write in capital letters: {words}", "Make the letters big: {words}"),
        },
    ),
    Skill(
        "instruction",
        "text",
        _join,
        {
            "easy": ("Join with and: {first}, {second}", "{first}, {second} - join with and", "And: {first} {second}"),
            "medium": ("Put the word and between {first} and {second}.", "Link {first} to {second} with the word and."),
        },
    ),
)


def draw(r: random.Random, domain: str, difficulty: str) -> Task:
    """Draw one task of a domain at a difficulty; raises IndexError where the domain has none."""
    skill = r.choice([s for s in SKILLS if s.domain == domain and difficulty in s.wordings])
    slots, response = skill.draw(r)
    instruction = r.choice(skill.wordings[difficulty]).format(**slots)
    return Task(domain, difficulty, skill.checker, instruction, response)


def has(domain: str, difficulty: str) -> bool:
    """Tell whether a domain has tasks of a difficulty."""
    return any(s.domain == domain and difficulty in s.wordings for s in SKILLS)


def tasks(seed: int, mix: dict[str, dict[str, float]], low: float, high: float, unique: bool = True) -> Iterator[Task]:
    """Draw tasks for ever, round-robin over the domains of `mix`, with prompts whose unit hash lies in [low, high).

    `mix` maps domain to the shares of its difficulties. Round-robin keeps the domains balanced whatever share of a
    domain's prompts the hash lets through. With `unique`, no prompt is drawn twice; a domain whose prompts are
    exhausted (10,000 draws in a row without a new one) raises ValueError.
    """
    r = random.Random(seed)
    seen: set[str] = set()
    while True:
        for domain, shares in mix.items():
            for _ in range(10_000):
                difficulty = r.choices(list(shares), list(shares.values()))[0]
                task = draw(r, domain, difficulty)
                if low <= unit_hash(task.instruction) < high and not (unique and task.instruction in seen):
                    break
            else:
                raise ValueError(f"domain {domain!r} has no more new prompts between hashes {low} and {high}")
            seen.add(task.instruction)
            yield task
