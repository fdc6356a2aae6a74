import pytest

from ingot.serving import routes as module
from ingot.serving.routes import Routes, Worth

CODE = "write a python function with a lambda to sort names"
OTHER, COMPLAINT = "name the capital of some country", "that's wrong, try again"


@pytest.fixture
def routes(served_release):
    router = served_release / "files/router"
    return Routes(router / "model", router / "detector", Worth(right=10, base=1, modifier=1.2))


def conversation(*said):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]


def answered(routes, *said):
    """Let a conversation take its course: users say something, and any answer follows. Return all choices."""
    messages, choices = [], []
    for text in said:
        messages = [*messages, {"role": "user", "content": text}]
        choice, past = routes.choose(messages, tokens=20 * len(messages))
        choices.append(choice)
        messages = [*messages, {"role": "assistant", "content": f"by {choice.route}"}]
        routes.memory.keep(messages, past)
    return choices


def test_the_router_chooses_by_its_threshold(routes):
    code, other = (routes.choose(conversation(text))[0] for text in (CODE, OTHER))
    assert (code.route, code.reason) == ("code", "router")
    assert code.probability >= code.threshold
    assert code.runner_up in ("base", "reasoning")
    assert other.route == "base"


def test_a_complaint_goes_to_the_next_best_route_until_all_were_tried(routes):
    choices = answered(routes, CODE, COMPLAINT, COMPLAINT, COMPLAINT)
    assert choices[0].route == "code"
    assert {choice.route for choice in choices[:3]} == {"base", "code", "reasoning"}
    assert [choice.reason for choice in choices] == ["router", *["escalated"] * 3]
    assert choices[1].probability >= choices[2].probability
    assert choices[3].route == "code"  # the likeliest again


def test_a_complaint_without_a_conversation_is_a_question(routes):
    assert routes.choose(conversation(COMPLAINT))[0].reason == "router"


def test_a_short_word_in_between_does_not_change_the_route(routes):
    _, choice = answered(routes, CODE, "commit it")
    assert (choice.route, choice.reason) == ("code", "stays")


def test_another_route_is_taken_if_it_wins_more_than_reading_again_costs(routes):
    choices = answered(routes, OTHER, CODE)
    assert [choice.route for choice in choices] == ["base", "code"]


def test_a_long_conversation_stays_where_it_is(routes):
    messages = conversation(OTHER, "by base", CODE)
    routes.memory.keep(messages[:2], module.Past(OTHER, ("base",)))
    assert routes.choose(messages, tokens=100_000)[0].reason == "stays"
    assert routes.choose(messages, tokens=100)[0].route == "code"


def test_conversations_of_others_do_not_mix(routes):
    answered(routes, CODE)
    assert routes.memory.find(conversation(CODE, "by base", COMPLAINT)) is None
    assert routes.memory.find(conversation(CODE, "by code", COMPLAINT)).tried == ("code",)
    assert routes.choose(conversation(CODE, "by code", COMPLAINT))[0].reason == "escalated"
    assert routes.choose(conversation(CODE, "by code", COMPLAINT), asker="another")[0].reason == "router"


def test_the_memory_is_bounded_and_holds_no_text(routes, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for i in range(10):
        routes.memory.keep(conversation(f"secret {i}", "x"), module.Past("q", ("base",)))
    assert len(routes.memory.kept) == 3
    assert not any("secret" in digest for digest in routes.memory.kept)


def test_without_a_router_there_is_only_the_base(served_release):
    choice, _ = Routes(None, None, Worth()).choose(conversation(CODE))
    assert (choice.route, choice.reason, choice.to_json()) == ("base", "only", {"route": "base", "reason": "only"})
