"""The skills of the tiny world: kinds of small tasks, each with an exact answer.

Every skill fills slots at random and knows the right answer. The base is pretrained on `easy` wordings. `medium` ones
ask for the same skills in new words, for the adapter to learn. `hard` skills are new tasks, for the modifiers to learn.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from ingot.world.words import CITIES, COUNTRIES, EXPRESSIONS, FUNCTION_NAMES, OPPOSITES, PEOPLE, THINGS

Drawn = tuple[dict[str, object], str]
"""What fills the slots of a wording, and the right answer."""
Draw = Callable[[random.Random], Drawn]


@dataclass(frozen=True)
class Skill:
    """One kind of task: how to draw it, how its answer is checked, and how it may be asked for."""

    domain: str
    checker: str
    draw: Draw
    wordings: dict[str, tuple[str, ...]]


def call(name: str, **arguments: object) -> str:
    """Write a call of a tool as JSON."""
    return json.dumps({"name": name, "arguments": arguments})


def draw_function(r: random.Random) -> Drawn:
    """Draw a function to write, with its definition."""
    what = r.choice(list(EXPRESSIONS))
    arguments, expression = EXPRESSIONS[what]
    name = r.choice(FUNCTION_NAMES)
    return {"name": name, "what": what}, f"def {name}({arguments}):\n    return {expression}"


def draw_lambda(r: random.Random) -> Drawn:
    """Draw a function to write, with its definition in one line."""
    what = r.choice(list(EXPRESSIONS))
    arguments, expression = EXPRESSIONS[what]
    name = r.choice(FUNCTION_NAMES)
    return {"name": name, "what": what}, f"{name} = lambda {arguments}: {expression}"


def draw_constant(r: random.Random) -> Drawn:
    """Draw a name and its value, with the assignment."""
    name, value = r.choice(FUNCTION_NAMES), r.choice((r.randint(0, 9), '"' + r.choice(THINGS) + '"'))
    return {"name": name, "value": value}, f"{name} = {value}"


def draw_numbers(answer: Callable[[list[int]], list[int]]) -> Draw:
    """Make the function that draws numbers, and answers with what `answer` makes of them."""

    def draw(r: random.Random) -> Drawn:
        numbers = [r.randint(0, 9) for _ in range(r.randint(3, 6))]
        return {"numbers": " ".join(map(str, numbers))}, " ".join(map(str, answer(numbers)))

    return draw


def draw_sum(r: random.Random) -> Drawn:
    """Draw two digits to add."""
    a, b = r.randint(0, 9), r.randint(0, 9)
    return {"a": a, "b": b, "who": r.choice(PEOPLE), "thing": r.choice(THINGS)}, str(a + b)


def draw_difference(r: random.Random) -> Drawn:
    """Draw two digits to subtract, the larger one first."""
    b, a = sorted((r.randint(0, 9), r.randint(0, 9)))
    return {"a": a, "b": b, "who": r.choice(PEOPLE), "thing": r.choice(THINGS)}, str(a - b)


def draw_weather(r: random.Random) -> Drawn:
    """Draw a city and a unit, with the call that asks for the weather."""
    city, unit = r.choice(CITIES), r.choice(("celsius", "fahrenheit"))
    return {"city": city, "unit": unit}, call("get_weather", city=city, unit=unit)


def draw_reminder(r: random.Random) -> Drawn:
    """Draw a thing and a time, with the call that sets a reminder."""
    thing, time = r.choice(THINGS), f"{r.randint(0, 23):02d}:{r.choice((0, 15, 30, 45)):02d}"
    return {"thing": thing, "time": time}, call("set_reminder", text=thing, time=time)


def draw_trip(r: random.Random) -> Drawn:
    """Draw two cities and a number of tickets, with the call that books them."""
    start, end = r.sample(CITIES, 2)
    count = r.randint(1, 9)
    return {"start": start, "end": end, "count": count}, call("book_trip", start=start, end=end, count=count)


def draw_call_person(r: random.Random) -> Drawn:
    """Draw a person and a thing, with the call that phones."""
    who, thing = r.choice(PEOPLE), r.choice(THINGS)
    return {"who": who, "thing": thing}, call("call_person", person=who, about=thing)


def draw_order(r: random.Random) -> Drawn:
    """Draw a thing, a person and a number, with the call that orders."""
    thing, who, count = r.choice(THINGS), r.choice(PEOPLE), r.randint(1, 9)
    return {"thing": thing, "who": who, "count": count}, call("order_item", item=thing, person=who, count=count)


def draw_message(r: random.Random) -> Drawn:
    """Draw a person and a thing, with the call that sends a message."""
    thing, who = r.choice(THINGS), r.choice(PEOPLE)
    return {"thing": thing, "who": who}, call("send_message", person=who, text=thing)


def draw_capital(r: random.Random) -> Drawn:
    """Draw a country, with its capital."""
    i = r.randrange(len(COUNTRIES))
    return {"country": COUNTRIES[i], "who": r.choice(PEOPLE)}, CITIES[i]


def draw_opposite(r: random.Random) -> Drawn:
    """Draw a word, with its opposite."""
    word = r.choice(list(OPPOSITES))
    return {"word": word, "who": r.choice(PEOPLE)}, OPPOSITES[word]


def draw_repeat(r: random.Random) -> Drawn:
    """Draw a word and how often to say it, with the words said."""
    thing, count = r.choice(THINGS), r.choice(("two", "three", "four"))
    times = {"two": 2, "three": 3, "four": 4}[count]
    return {"thing": thing, "count": count, "who": r.choice(PEOPLE)}, " ".join([thing] * times)


def draw_uppercase(r: random.Random) -> Drawn:
    """Draw one word or two, with their capital letters."""
    words = " ".join(r.sample(THINGS, r.randint(1, 2)))
    return {"words": words}, words.upper()


def draw_join(r: random.Random) -> Drawn:
    """Draw two words, with both joined by `and`."""
    first, second = r.sample(THINGS, 2)
    return {"first": first, "second": second}, f"{first} and {second}"


SKILLS = (
    Skill(
        "code",
        "python",
        draw_function,
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
        draw_constant,
        {
            "easy": ("Set {name} to {value}.", "Python: {name} is {value}.", "Let {name} be {value}."),
            "medium": ("Give {name} the value {value}.", "Store {value} as {name}."),
        },
    ),
    Skill(
        "code",
        "python",
        draw_lambda,
        {"hard": ("Write a lambda {name} that {what}.", "As a one-line lambda: {name} {what}.")},
    ),
    Skill(
        "reasoning",
        "text",
        draw_numbers(sorted),
        {
            "easy": ("Sort ascending: {numbers}", "Sort: {numbers}", "{numbers} - sort them"),
            "medium": ("Put these in rising order: {numbers}", "Order from low to high: {numbers}"),
        },
    ),
    Skill(
        "reasoning",
        "text",
        draw_numbers(lambda xs: [max(xs)]),
        {
            "easy": ("Largest of: {numbers}", "Maximum: {numbers}", "{numbers} - which is largest"),
            "medium": ("Which number is the greatest? {numbers}", "Find the top number: {numbers}"),
        },
    ),
    Skill(
        "reasoning",
        "text",
        draw_numbers(lambda xs: [min(xs)]),
        {
            "easy": ("Smallest of: {numbers}", "Minimum: {numbers}", "{numbers} - which is smallest"),
            "medium": ("Which number is the least? {numbers}", "Find the bottom number: {numbers}"),
        },
    ),
    Skill(
        "reasoning",
        "text",
        draw_numbers(lambda xs: [max(xs), min(xs)]),
        {"hard": ("Largest, then smallest: {numbers}", "Give both ends, high one first: {numbers}")},
    ),
    Skill(
        "math",
        "number",
        draw_sum,
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
        draw_difference,
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
        draw_weather,
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
        draw_reminder,
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
        draw_trip,
        {
            "easy": ("Book {count} tickets from {start} to {end}.", "Trip: {start} to {end}, {count} tickets."),
            "medium": ("I need {count} tickets, {start} to {end}.", "Take {count} of us from {start} to {end}."),
        },
    ),
    Skill(
        "automation",
        "json",
        draw_call_person,
        {
            "easy": ("Call {who} about the {thing}.", "Phone {who}: {thing}.", "{thing}, call {who}."),
            "medium": ("Give {who} a ring, it is the {thing}.", "Tell {who} on the phone of the {thing}."),
        },
    ),
    Skill(
        "automation",
        "json",
        draw_order,
        {"hard": ("Order {count} {thing} for {who}.", "{who} wants {count} {thing}. Please order.")},
    ),
    Skill(
        "automation",
        "json",
        draw_message,
        {"hard": ("Message {who} about the {thing}.", "Write to {who}: {thing}.")},
    ),
    Skill(
        "knowledge",
        "text",
        draw_capital,
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
        draw_opposite,
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
        draw_repeat,
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
        draw_uppercase,
        {
            "easy": ("Uppercase, please: {words}", "Uppercase: {words}", "{words} - in uppercase"),
            "medium": ("Write in capital letters: {words}", "Make the letters big: {words}"),
        },
    ),
    Skill(
        "instruction",
        "text",
        draw_join,
        {
            "easy": ("Join with and: {first}, {second}", "{first}, {second} - join with and", "And: {first} {second}"),
            "medium": ("Put the word and between {first} and {second}.", "Link {first} to {second} with the word and."),
        },
    ),
)
