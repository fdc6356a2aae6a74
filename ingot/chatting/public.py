"""A page for everybody, as a Space of a hub shows it. Nothing that is written there is kept."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from ingot.chatting.client import LEFT_OUT, Client
from ingot.chatting.conversations import Conversation, Turn
from ingot.chatting.page import HINT, TITLE, failure, shown
from ingot.errors import InputError

AT_A_TIME, WAITING = 4, 32
"""Answers that are written at a time, and questions that may wait; who comes later is told to."""
VISITOR = "visitor"


class Page:
    """What the elements of the page do."""

    def __init__(self, client: Client) -> None:
        """Show conversations with a server."""
        self.client = client

    def begin(self) -> tuple[Conversation, list[dict[str, Any]]]:
        """Begin anew."""
        return Conversation(VISITOR, time.time()), []

    def ask(self, question: str, conversation: Conversation, route: str) -> Iterator[tuple[Any, ...]]:
        """Show a question, then its answer as it grows. The conversation is this visitor's own."""
        if not question.strip():
            yield "", shown(conversation), conversation
            return
        before = list(conversation.turns)
        left_out = next((turn.told.get(LEFT_OUT, 0) for turn in reversed(before) if turn.is_answer), 0)
        answer = Turn("assistant", "")
        conversation.turns.append(Turn("user", question))
        messages = conversation.messages()
        conversation.turns.append(answer)
        try:
            for answer.text, answer.told in self.client.answer(messages, route, left_out):
                yield "", shown(conversation, answer), conversation
        except InputError as error:
            conversation.turns[:] = before
            raise failure(error) from None
        finally:
            if not answer.text:  # somebody stopped it
                conversation.turns[:] = before
        yield "", shown(conversation), conversation


def blocks(client: Client) -> gr.Blocks:
    """Lay out the page. InputError if the server does not answer."""
    does, routes = Page(client), client.routes()
    with gr.Blocks(title=TITLE, fill_height=True, analytics_enabled=False) as whole:
        conversation = gr.State(Conversation(VISITOR, time.time()))
        route = gr.Dropdown(
            label="Who answers (auto: the router chooses)", choices=routes, value=routes[0], elem_id="route"
        )
        chat = gr.Chatbot(
            show_label=False,
            placeholder=f"{HINT} Nothing is kept: the conversation ends with this page.",
            buttons=[],
            group_consecutive_messages=False,
            render_markdown=False,
            elem_id="chat",
            scale=1,
        )
        asked = gr.Textbox(
            show_label=False, placeholder="Your question", submit_btn=True, stop_btn=True, elem_id="question"
        )
        begin = gr.Button("New conversation")
        answering = asked.submit(
            does.ask, [asked, conversation, route], [asked, chat, conversation], api_visibility="private"
        )
        asked.stop(lambda: None, cancels=[answering], api_visibility="private")
        begin.click(does.begin, None, [conversation, chat], cancels=[answering], api_visibility="private")
    return whole.queue(default_concurrency_limit=AT_A_TIME, max_size=WAITING)
