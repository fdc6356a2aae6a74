"""Make messages that ask for another try, and messages that only sound like it, for the escalation detector to learn.

Each comes from a small grammar. Every fourth grammar is kept for testing as a whole; of the others, a share of the
sentences is, by their hash. So the detector is tested on sentences that it never saw, and on ways to complain that it
never saw.
"""

import itertools
import random
import re
from collections.abc import Sequence

from ingot.text.forms import unit_hash

HELD_OUT = 0.3  # share of the sentences of a learned grammar that are kept for testing
QUOTED = 20  # complaints that are put into each sentence of a frame
FAMILY = 4  # every grammar in so many is kept for testing

# Every line is a grammar: {a|b} stands for one of its alternatives, and an alternative may be empty.
COMPLAINTS = (
    "{that|this|your answer|the result|your last reply} {is|was|looks|seems} {wrong|not right|incorrect|false|nonsense}"
    "{|, try again|, do it over|, please redo it}",
    "{no|nope|sorry|hm}, {try again|do it again|once more please|give me another answer|that is wrong|not correct}",
    "you {got it wrong|made a mistake|missed the point|misunderstood me|did not answer my question}{|, try again}",
    "{sorry but|no,|hm,} your {answer|reply|result} {is wrong|is not correct|makes no sense|is not what I asked for}",
    "{it|this|your code|that} {still fails|does not work|did not help|gives an error}{|, fix it|, try again|, please}",
    "{that|this} is not what I {asked for|wanted|meant|need}{|, try again|, read it once more}",
    "{are you sure?|really?|what?} {that|this|it} {looks wrong|cannot be right|makes no sense}{|, check it again}",
    "{I think|I am afraid} {you are wrong|you made a mistake|that is not right|this does not work}{|, check it again}",
    "{please|can you|could you} {try that again|redo it|correct your answer|give a better answer}{|, it is wrong}",
    "{I asked|I told you|I wanted} {for a list|to use Python|for two lines|about Rome}, {not this|you ignored "
    "that|you did not}",
    "{useless|terrible|bad answer|what a bad reply}{|, try again|, do better|, give me another one}",
    "{try again|redo this|once more}, {your answer was useless|it still fails|you missed half of it|the last "
    "one was bad}",
    "{the|your} {second|first|last} {line|step|number|part} {is wrong|is missing|does not work}{|, fix it|, "
    "correct it}",
    "{this|that|it} {is still|is again} {wrong|broken|the same mistake|not what I need}{|, please try again}",
    "{you forgot|you left out|you skipped} {the last step|half of it|the units|my second question}{|, do it again}",
    "{you keep|stop} {making the same mistake|giving wrong answers|ignoring my question}{|, try again}",
    "{not good enough|not helpful|this does not help me|I cannot use this}{|, try again|, another answer please}",
    "{can you|please|could you} {do better|fix your mistake|check your answer|read my question again}{|?|, it "
    "is wrong}",
    "{I still|now I} {get an error|have the same problem|do not have an answer}{| with your code| after your fix}",
    "{that|this} {did not|does not} {answer my question|solve it|help at all}{|, try once more|, please redo it}",
    "{I|we} {already|just} {told you|said} {this|that} {is wrong|is not it|does not work}"
    "{|, read it again|, look again}",
    "{wrong|incorrect|false|not quite|not even close}{|, sorry|, I am afraid}"
    "{|, try again|, have another go|, look again}",
    "{why|how come} {did you|do you} {ignore|skip|change|repeat} {my question|what I asked|the first part}?",
    "{there is|I see|I found} {a mistake|an error|a bug|nonsense} in "
    "{your answer|your code|what you wrote|the second line}{|, fix it|, correct that}",
    "that {is|was} {the same answer|exactly what you said|the same thing} {again|as before|as last time}"
    "{|, try another way}",
    "{check|recheck|look over|go over} {your math|your numbers|your reasoning|what you wrote}{|, it is off|, please}",
    "{the answer|the result|it} {should be|must be|is} {12|3|seven|Rome|the other one}, not {15|4|five|Paris|this one}",
    "{you did not|you never|you failed to} {follow my instructions|do what I asked|read my message|use the list I gave}"
    "{|, do it again|, once more}",
    "{still|yet again} {wrong|broken|the same error|no good|not it}{|, please fix it|, try something else}",
    "{this|your code|it} {crashes|breaks|stops|hangs} {when I run it|at once|every time|on the second line}{|, fix it}",
    "{I do not think so|I doubt it|I disagree}, {that is|this is} {not how it works|not what it says|mistaken|off}",
    "{no no|no no no|oh no|come on}, {that is not it|you got it backwards|not that one|the other way round}",
    "{I meant|I was asking about|I wanted to know about} {the other one|the second case|something else|last year}"
    "{|, not that|, not this one}",
    "{too long|too short|too vague|far too much}, {I asked for two lines|I said briefly|I wanted one word|try again}",
    "{you contradict yourself|that contradicts what you said|first you said yes, now no}{|, which is it?|, decide}",
    "{give me|I want|let me see} {another version|a correct one|a better one|something that works}"
    "{|, this is bad|, please}",
    "{that is|this is} {outdated|made up|invented|not true}{|, check your facts|, where did you get that?}",
    "{it|that} {misses|leaves out|forgets} {the point|half of the question|the main part|the last step}"
    "{|, add it|, redo it}",
    "{revise|rework|rewrite|fix} {your answer|your last reply|that mess}{|, it is wrong|, it does not fit}",
    "{are you even|did you even} {reading|reading this|read it|try}?{| That is wrong.| Once more.}",
)
LOOKALIKES = (
    "what is wrong with {this|the|my} {function|sentence|plan|proof|engine}?",
    "{he|she|my boss|the teacher} said {try again later|that is wrong|you made a mistake|it does not work}. "
    "{Who is speaking?|Translate it.|Summarise it.|What did they mean?}",
    "that's {wrong-headed|not right|nonsense} of them, {he|she|they} wrote. {Summarise the letter|Reply politely}.",
    "{try again later|that is wrong|you missed the point}, {he|she|they|my friend} {said|wrote|told me}",
    "{thanks|great|perfect|good}, {that is right|this works|that helped|your answer is correct}{|, now the next one}",
    "is it {right|wrong|correct|false} to {turn left here|say fewer people|use a list here|call it a proof}?",
    "write {a story|a poem|a song|a joke} about {a mistake|trying again|an answer that is wrong|a second try}",
    "{that's wrong-headed of them|they were wrong about it|he made a mistake there}, {but go on|what comes "
    "next?|I agree}",
    "which {answer|result|line} is {correct|wrong|right|false}, {a or b|the first or the second}?",
    "{explain|show|tell me} why {the proof is not wrong|this is the right answer|it does not work at night}",
    "{does the shop open|can I log in|will it rain|may I call} again {tomorrow|later|next week}?",
    "{translate|repeat|spell|rewrite}: {that is wrong|try again|this does not work|your answer is false}",
    "{list|name} {two|three|five} {common mistakes|wrong beliefs|things that do not work} {of beginners|in science}",
    "my {printer|phone|program|car} {does not work|gives an error|still fails}, {what can I do?|how do I fix it?}",
    "{how do I|can I} {fix|correct|redo|check} {my homework|this sentence|an old answer|a wrong entry}?",
    "my {code|test|car|phone} {is broken|fails again|shows an error}{|, help me|, where do I start?|, what now?}",
    "{yes|right|exactly}, {that is it|no mistake there|you got it|that is what I wanted}{|, thank you|, go on}",
    "{she|he|the book} says the {answer|result|proof} is {wrong|nonsense|not right}, {do you agree?|is that so?}",
    "{what|who} {is|was} {the last answer|the second step|the wrong man|the bad reply} in {the play|that "
    "film|the book}?",
    "{this helped|no problem at all|not bad|that was not wrong}{|, thanks|, next question|, go on please}",
    "{thanks|ok|good|fine}, {now|next} {add a test|write the second part|explain line two|do the same for Spain}",
    "{commit it|save it|send it|publish it|close it}{|, please|, then stop}",
    "{yes|no|ok|sure|maybe|right}{|, please|, thanks|, go ahead}",
    "{make it|can you make it|please make it} {shorter|longer|simpler|funnier|more formal}",
    "{and|what about|how about} {Python|Spain|the second case|children|winter|last year}?",
    "{what|where|when|who} {is|was} {the capital of Norway|the first king|Easter|the longest river|this word from}?",
    "{write|show me|give me} {a function|a loop|a query|a script} that "
    "{sorts names|adds numbers|reads a file|counts words}",
    "{how many|how much} {apples|hours|miles|coins} {are left|do they have|does he need} "
    "{if she takes two|after a week|in all}?",
    "{translate|say|write} {good morning|thank you|the house is red|see you soon} in {French|German|Latin}",
    "{sort|list|count|reverse} {these|the} {words|numbers|names|letters}: {b a c|3 1 2|Ann Bob|x y z}",
    "{continue|go on|carry on|keep going}{|, please| with the story| from there}",
    "{explain|describe|summarise} {gravity|the plot|this paragraph|how a plane flies|the second law}"
    "{| to a child| in two lines}",
    "{add|insert|remove|rename} {a comment|the last line|a column|the title}{|, please| and show it| in the file}",
    "{I like it|that is what I needed|great work|well done|you are right}{|, thanks|, one more thing: what is next?}",
    "{he|the critic|my mother} {complained|was angry|was disappointed} {about the food|with the film|that it was late}"
    ". {What happened?|Write a reply.|Why?}",
    "{is|was} {this sentence|the proof|that claim|my answer} {correct|true|grammatical|right}: {two is even|it rains}?",
    "{fix|correct|repair} {this code|the grammar|my essay|the typo}: {pritn x|he go home|a b c}",
    "{what|which} {mistakes|errors|problems} do {beginners|students|most people} make "
    "{in chess|with fractions|abroad}?",
    "{when|why|how} {did|does} {the engine|the empire|a star|the market} {fail|break|collapse|stop}?",
    "{define|what does} {wrong|error|failure|mistake|retry}{| mean?| in one line}",
)
# What people say in the middle of a conversation when nothing is wrong.
FOLLOW_UPS = (
    "{yes|yep|sure|right|exactly|of course|correct}, "
    "{that is fine|that works|that is perfect|sounds good|go ahead|that will do|I like that one}",
    "{that|this|it} {is|sounds|looks|seems|would be} {perfect|great|good|fine|lovely|right|wonderful|correct|excellent}"
    "{| to me|, thank you|, thanks a lot|, go ahead}",
    "{great|perfect|wonderful|awesome|excellent|cool|nice}{|, thanks|, thank you|, I will take it|, book it}",
    "{no|nope|no thanks|nothing else}, "
    "{that is all|that will be all|that is all I need|I am good|I am all set|I am done}"
    "{|, thank you|, thanks for your help| for now| for today}",
    "{thank you|thanks}{| so much| very much| a lot}"
    "{|, that is all I need|, you were very helpful|, I appreciate it|, goodbye|, have a nice day}",
    "{I appreciate|I am grateful for} {your help|all your help|it|that}{|, that is all|, bye|, I need nothing more}",
    "{not|maybe not|nothing} {at this time|right now|today|at the moment|yet}{|, thanks|, thank you}",
    "{I want|I would like|I need} {to leave|to go|to come back|to start|to be there} "
    "{on Monday|next Friday|on the 5th|tomorrow|in the evening|at 5 pm}{| for two| with three people}",
    "{I am|we are} {leaving|going|staying|flying|travelling} {from Rome|to Paris|in Atlanta|on March 3rd|next week}"
    "{|, and need 3 tickets| with my family}",
    "{find me|search for|look for|show me|get me} {a hotel|a restaurant|a flight|some music|a doctor|a movie} "
    "{in Oakland|near the park|for tonight|with a pool|that is cheap}",
    "what {is|was} {the|its|their} {phone number|address|price|rating|opening time}{|, please| of that one}?",
    "does {it|that one|the place|the hotel} {have|offer|take|allow} {parking|wifi|pets|cards|breakfast}?",
    "{let us|I will|we can} {do|take|say|go with} {Monday|7 pm|the first one|two of them|the second one}{|, please}",
    "{change|move|set} {it|the time|the date|the meeting} {to|for} {6 in the evening|Monday|two people|the 11th}"
    "{| instead|, please}",
    "{actually|wait|oh}, {I want it on Friday|make it three people|can we do 5 pm|I prefer the morning}{| instead}",
    "{it|the meeting|the table|my trip} {is|should be} {for two|on Monday|at noon|in Berlin}{|, not more|, I think}",
    "my {name|number|address|account} is {Ann|555 12|in Rome|the first one}{|, and his is Bob|, as before}",
    "{are there|do you have|do they have} {any other|more|some other} {houses|movies|flights|songs|options}"
    "{| in that area| that are cheaper}?",
    "{I will|let me|I have to} {think about it|ask my wife|check first|look at it tonight}{|, thanks|, and call you}",
    "{ok|okay|all right|got it|understood}{|, thanks|, and then?|, what next?|, let us go on|, please continue}",
    "{can you|could you|will you} {help me|tell me more|find out|remind me|send it|book it}"
    "{| please| about that| tomorrow}?",
    "{who|which actors|what kind of music|which team} {is in it|plays there|do they like|won last year}?",
    "{I love|I like|I enjoy|I prefer} {jazz|that one|the second one|comedies|Italian food}"
    "{|, thanks|, play it|, go on}",
    "{play|pause|book|buy|reserve|order} {it|that one|the song|a table|two tickets}"
    "{|, please| now| for me| in the kitchen}",
    "{how|why} {does|do|would} {this|it|that|they} {work|happen|matter|help}{| in practice| for me| at all}?",
    "{that|this} {helps|makes sense|is clear now|is interesting|is good to know}"
    "{|, thanks|. What about costs?|, tell me more}",
    "{can you|please|could you} {give an example|explain the second point|say more|use simpler words|put it in a table}"
    "{|, thanks|, if you can}",
    "{now|next|then|after that} "
    "{do the same for Spain|write the tests|add a title|try it with ten|shorten it to a line}",
    "{it|that|the code} {works|worked|did the trick|runs now|is fixed}{|, thanks|, great|. Now add logging.|, go on}",
    "{no problem|no worries|never mind|fine by me|as you like}{|, go on|, thanks|, let us move on}",
    "{no|nope|not really}, {just one|only two of us|I have none|call it practice|the other address is fine|it is new}",
    "{yes|yeah|no}, {it is|I am|we are|they are} {new|alone|in a hurry|at home|like that|from here}{|, thanks}",
    "{is|was} {it|that|he|she} {open|far|expensive|available|born there|married}{| on Sundays| at that time| today}?",
    "{what|how much} {does|would|did} {it|that one|the ticket|a night} {cost|take|weigh|need}{|, about| in all}?",
    "{hello|hi|good morning|hey}{|, how are you?|, I have a question|, I am back|, one more thing|, can you help me?}",
    "{we|they|my friends} {need|want|have} {a room|two cars|an hour|a quiet place|nothing special}"
    "{| there| for a week}",
    "{so|and so|that means} {it is free|we meet at five|I need a visa|he wrote it|both are fine}{|?|, right?|, is it?}",
    "{sounds|looks|feels} {good|like fun|like a plan|right|great}{| to me|, thanks|, let us do it|. Do it.}",
    "{send|give|read} {it|that|them} {to my boss|to Ann|to me later|by mail|in English}{|, please| when you can}",
    "{both|either one|the cheaper one|the first|anything|the later one} {is fine|will do|works for me|, please}",
)
# If somebody else complains, or a complaint is only talked about, nobody asks for another try.
FRAMES = (
    "translate into {French|German|Spanish|Latin}: {complaint}",
    "{he|she|my boss|the teacher|a customer} said: {complaint}. {What does it mean?|What do I answer?|Was that fair?}",
    "how do I {answer|reply to} {someone|a friend|a customer} who {writes|says}: {complaint}?",
    "{summarise|rewrite|translate} this {letter|review|mail}: {complaint}",
    "{complaint}, {he|she|they|my friend|the customer} {said|wrote|told me|shouted}",
    "is it {polite|rude|friendly} to {say|write}: {complaint}?",
    "write {a story|a poem|a scene|a dialogue} {that begins with|in which someone says}: {complaint}",
    "the {mail|letter|review|message} reads: {complaint}. {Is it friendly?|Sort it.|Reply politely.}",
    "{who|which book|which film} {said|has the line}: {complaint}?",
    "count the words in: {complaint}",
    "{correct|check} the {spelling|grammar} of: {complaint}",
    "in {the play|the film|chapter two} {a man|the king|she} says: {complaint}. {Why?|Explain.|What happens next?}",
    "{my test|the log|the page} says: {complaint}. {What now?|What does it mean?|Where do I look?}",
    "{a user|a customer|my client} wrote to us: {complaint}. {Draft a reply.|What do we answer?|Is he angry?}",
    "{classify|label} the {mood|tone} of: {complaint}",
    "{turn|make} this into a question: {complaint}",
    "{the user|the pupil|someone online} {typed|posted|asked}: {complaint}. "
    "{How would you answer?|Rate it.|Is that rude?}",
    "{use|put} this in a {sentence|headline|song}: {complaint}",
    "I {answered|wrote back|replied}: {complaint}. {Was that ok?|What will he say?|Too harsh?}",
    "{complaint} - {who said that?|where is this from?|what is the tone?|is that a quote?}",
    "{read|say|sing} {aloud|it aloud|slowly}: {complaint}",
    "{my|the} {teacher|boss|client} {keeps saying|told us|often writes}: {complaint}. "
    "{How do I react?|What does that mean?}",
    "{if|when} {a customer|someone} {says|writes} {complaint}, {what do I do?|how do I answer?|who is to blame?}",
    "{extract|find|mark} the {verb|noun|emotion} in: {complaint}",
)


def expand(grammar: str) -> list[str]:
    """List every sentence of a grammar."""
    pieces = re.split(r"\{([^}]*)\}", grammar)
    choices = [piece.split("|") if i % 2 else [piece] for i, piece in enumerate(pieces)]
    return ["".join(words) for words in itertools.product(*choices)]


def quoting(frame: str, complaints: Sequence[str], r: random.Random) -> list[str]:
    """Make `QUOTED` sentences of each sentence of a frame, with a complaint in its blank."""
    sentences = expand(frame.replace("{complaint}", "<>"))
    return [sentence.replace("<>", r.choice(complaints)) for sentence in sentences for _ in range(QUOTED)]


def families(grammars: tuple[str, ...], held_out: bool) -> list[str]:
    """List the grammars to learn from, or those that are kept for testing."""
    return [grammar for i, grammar in enumerate(grammars, 1) if (i % FAMILY == 0) == held_out]


def phrasings(side: str) -> tuple[list[list[str]], list[list[str]]]:
    """Return (lookalikes, complaints), each as one list of sentences per grammar.

    `side` is "train", "sentences" (those of the same grammars that are kept for testing) or "families" (the grammars
    that are kept for testing as a whole, without the sentences that a learned grammar has, too).
    """
    whole = side == "families"
    other_sides = [*phrasings("train"), *phrasings("sentences")] if whole else []
    said_elsewhere = {sentence for grammars in other_sides for sentences in grammars for sentence in sentences}

    def chosen(sentences: list[str]) -> list[str]:
        if whole:
            return [sentence for sentence in sentences if sentence not in said_elsewhere]
        return [sentence for sentence in sentences if (unit_hash(sentence) < HELD_OUT) == (side == "sentences")]

    complaints = [chosen(expand(grammar)) for grammar in families(COMPLAINTS, whole)]
    lookalikes = [chosen(expand(grammar)) for grammar in families(LOOKALIKES + FOLLOW_UPS, whole)]
    all_complaints = [sentence for sentences in complaints for sentence in sentences]
    r = random.Random(0)
    quoted = [chosen(quoting(frame, all_complaints, r)) for frame in families(FRAMES, whole)]
    return lookalikes + quoted, complaints


def messages(seed: int, count: int, side: str) -> list[tuple[str, int]]:
    """Draw `count` messages of one side of the split, half of them complaints: (message, 1 if it complains else 0)."""
    r = random.Random(seed)
    lookalikes_and_complaints = phrasings(side)
    drawn = []
    for i in range(count):
        text = r.choice(r.choice(lookalikes_and_complaints[i % 2])) + r.choice(("", ".", "!", " ..."))
        drawn.append((text.capitalize() if r.random() < 0.5 else text, i % 2))
    return drawn
