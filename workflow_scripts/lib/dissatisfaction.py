"""Messages that ask for another try, and messages that only sound like it, for training the escalation detector.

Both are made from small grammars. A phrasing is one way through a grammar; it belongs to the training or to the
held-out side by its hash, so that the detector is tested on sentences that it never saw.
"""

import itertools
import random
import re

from lib.text import unit_hash

HELD_OUT = 0.3  # share of the phrasings that are tested with

# Every line is a grammar: {a|b} stands for one of the alternatives, which may be empty.
COMPLAINTS = (
    "{that|this|your answer|the result|your last reply} {is|was|looks|seems} {wrong|not right|incorrect|false|nonsense}"
    "{|, try again|, do it over|, please redo it}",
    "{no|nope|sorry|hm}, {try again|do it again|once more please|give me another answer|that is wrong|not correct}",
    "you {got it wrong|made a mistake|missed the point|misunderstood me|did not answer my question}{|, try again}",
    "{it|this|your code|that} {still fails|does not work|did not help|gives an error}{|, fix it|, try again|, please}",
    "{that|this} is not what I {asked for|wanted|meant|need}{|, try again|, read it once more}",
    "{are you sure?|really?|what?} {that|this|it} {looks wrong|cannot be right|makes no sense}{|, check it again}",
    "{please|can you|could you} {try that again|redo it|correct your answer|give a better answer}{|, it is wrong}",
)
LOOKALIKES = (
    "what is wrong with {this|the|my} {function|sentence|plan|proof|engine}?",
    "{he|she|my boss|the teacher} said {try again later|that is wrong|you made a mistake|it does not work}. "
    "{Who is speaking?|Translate it.|Summarise it.|What did they mean?}",
    "that's {wrong-headed|not right|nonsense} of them, {he|she|they} wrote. {Summarise the letter|Reply politely}.",
    "{thanks|great|perfect|good}, {that is right|this works|that helped|your answer is correct}{|, now the next one}",
    "is it {right|wrong|correct|false} to {turn left here|say fewer people|use a list here|call it a proof}?",
    "write {a story|a poem|a song|a joke} about {a mistake|trying again|an answer that is wrong|a second try}",
    "which {answer|result|line} is {correct|wrong|right|false}, {a or b|the first or the second}?",
    "{explain|show|tell me} why {the proof is not wrong|this is the right answer|it does not work at night}",
    "{does the shop open|can I log in|will it rain|may I call} again {tomorrow|later|next week}?",
    "{list|name} {two|three|five} {common mistakes|wrong beliefs|things that do not work} {of beginners|in science}",
)


def expand(grammar: str) -> list[str]:
    """Return every sentence of a grammar."""
    parts = re.split(r"\{([^}]*)\}", grammar)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(words) for words in itertools.product(*choices)]


def phrasings(grammars: tuple[str, ...], held_out: bool) -> list[list[str]]:
    """Return, per grammar, its sentences on one side of the split."""
    return [[s for s in expand(grammar) if (unit_hash(s) < HELD_OUT) == held_out] for grammar in grammars]


def messages(seed: int, count: int, held_out: bool) -> list[tuple[str, int]]:
    """Return `count` (message, 1 if it complains else 0), half of each, from one side of the split."""
    r = random.Random(seed)
    sides = [phrasings(grammars, held_out) for grammars in (LOOKALIKES, COMPLAINTS)]
    found = []
    for i in range(count):
        text = r.choice(r.choice(sides[i % 2])) + r.choice(("", ".", "!", " ..."))
        found.append((text.capitalize() if r.random() < 0.5 else text, i % 2))
    return found
