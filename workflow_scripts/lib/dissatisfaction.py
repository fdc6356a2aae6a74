"""Messages that ask for another try, and messages that only sound like it, for training the escalation detector.

Phrasings are split into two halves that share no template, so that the detector is tested on words it never saw
together.
"""

import random

COMPLAINTS = (
    "that's wrong",
    "that is not right",
    "no, try again",
    "this is incorrect",
    "you got it wrong",
    "that is not what I asked for",
    "wrong answer",
    "please try that again",
    "your answer is wrong",
    "that does not work",
    "it still fails",
    "not correct, do it over",
    "you made a mistake",
    "are you sure? that looks wrong",
    "I do not think this is right",
    "this answer makes no sense",
    "nope, that is false",
    "you missed the point",
    "give me a better answer",
    "that did not help at all",
    "redo this, it is wrong",
    "the result is not correct",
    "you misunderstood me",
    "still wrong, once more please",
)
LOOKALIKES = (
    "that's wrong-headed of them, he wrote. Summarise the letter",
    "try again later, he said. Who is speaking here?",
    "what is wrong with this function?",
    "write a story about a mistake",
    "is it right to turn left here?",
    "which answer is correct, a or b?",
    "translate: you are wrong",
    "how do I say sorry for a mistake?",
    "thanks, that is right",
    "great, this works",
    "perfect, now do the next one",
    "the word wrong rhymes with song. Name another",
    "explain why the proof is not wrong",
    "list three common mistakes of beginners",
    "fix the incorrect line in the text below",
    "does the shop open again tomorrow?",
    "try to write a poem about rain",
    "make the second answer shorter",
    "what did I ask for in the first message?",
    "tell me what right angles are",
    "that helped, thank you",
    "sort these answers by length",
    "is the point on the line?",
    "when does it make sense to use a set?",
)
OPENERS = ("", "hm, ", "well, ", "sorry, but ", "hey, ", "ok, ", "look, ", "hello, ")
CLOSERS = ("", ".", "!", " ...", ", please", ", thanks")


def messages(seed: int, count: int, held_out: bool) -> list[tuple[str, int]]:
    """Return `count` (message, 1 if it complains else 0) made from one half of the phrasings."""
    r = random.Random(seed)
    half = slice(1, None, 2) if held_out else slice(0, None, 2)
    found = []
    for i in range(count):
        phrase = r.choice((LOOKALIKES, COMPLAINTS)[i % 2][half])
        text = r.choice(OPENERS) + phrase + r.choice(CLOSERS)
        found.append((text.capitalize() if r.random() < 0.5 else text, i % 2))
    return found
