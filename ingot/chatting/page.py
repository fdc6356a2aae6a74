"""The page: a person asks, sees who answers and why, marks what is wrong, and keeps all of it."""

import html
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from ingot.chatting.client import LEFT_OUT, Client, how_chosen
from ingot.chatting.conversations import MARKS, Conversation, Folder, Turn
from ingot.errors import InputError

TITLE = "Ingot: chat"
# Fonts of the machine: others would come over the network.
THEME = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
HINT = "Ask something. Below each answer stands who gave it, and why. Answers can be wrong."
MARKED = "marked as wrong"
EVERY = 1.0
"""Seconds after which a growing answer is kept again."""


def shown(conversation: Conversation, growing: Turn | None = None) -> list[dict[str, Any]]:
    """Write the turns as the page shows them, with the route below each answer that is not growing any more."""
    rows = []
    for turn in conversation.turns:
        notes = [how_chosen(turn.told) if turn.is_answer and turn is not growing else "", MARKED if turn.wrong else ""]
        below = "; ".join(note for note in notes if note)
        whole = f"{turn.text}\n\n— {below}" if below else turn.text
        # Gradio shows HTML, with Markdown and without. What people and models write is text here: nothing of it is
        # loaded or run.
        rows.append({"role": turn.role, "content": html.escape(whole)})
    return rows


def failure(said: object) -> gr.Error:
    """Tell a person what went wrong, until they have read it."""
    return gr.Error(html.escape(str(said)), duration=None, print_exception=False)


class Page:
    """What the elements of the page do."""

    def __init__(self, client: Client, folder: Folder) -> None:
        """Show conversations with a server, kept in a folder."""
        self.client, self.folder = client, folder
        self.exported = tempfile.TemporaryDirectory(prefix="ingot-chat-")  # until this process ends

    def choices(self) -> list[tuple[str, str]]:
        """List the conversations to choose from: (title, name)."""
        return [(one.title, one.name) for one in self.folder.all()]

    def opened(self, name: str) -> Conversation:
        """Open a conversation; a new one if it is not there any more."""
        try:
            return self.folder.open(name)
        except InputError:
            return self.folder.new()

    def view(self, conversation: Conversation) -> tuple[Any, ...]:
        """Show a conversation: (its name, its turns, the list with it chosen, its file)."""
        choices = self.choices()
        name = conversation.name
        chosen = name if any(name == known for _, known in choices) else None
        return name, shown(conversation), gr.Radio(choices=choices, value=chosen), self.download(conversation)

    def load(self) -> tuple[Any, ...]:
        """Show the conversation that was the last to grow, and the routes of the server, which may be another now."""
        try:
            routes = self.client.routes()
        except InputError as error:
            gr.Warning(html.escape(str(error)), duration=None)
            routes = []
        view: tuple[Any, ...]
        try:
            view = self.view(self.folder.latest())
        except (OSError, ValueError, TypeError) as error:  # a file that is gone meanwhile, a full disk
            gr.Warning(html.escape(f"what was said before cannot be shown: {error}"), duration=None)
            view = "", [], gr.Radio(choices=[], value=None), gr.DownloadButton(value=None, interactive=False)
        choice = gr.Dropdown(choices=routes, value=next(iter(routes), None))
        return *view, choice, gr.Textbox(visible=True)

    def begin(self) -> tuple[Any, ...]:
        """Show a new conversation."""
        return self.view(self.folder.new())

    def choose(self, name: str) -> tuple[Any, ...]:
        """Show a conversation of the list."""
        return self.view(self.opened(name))

    def receive(self, path: str) -> tuple[Any, ...]:
        """Import a conversation, and show it."""
        try:
            return self.view(self.folder.receive(Path(path)))
        except (InputError, OSError) as error:
            raise failure(error) from None

    def download(self, conversation: Conversation) -> gr.DownloadButton:
        """Offer a conversation as a file. A new one is none yet."""
        if not conversation.turns:
            return gr.DownloadButton(value=None, interactive=False)
        path = Path(self.exported.name) / f"{conversation.name}.json"
        path.write_text(self.folder.text(conversation), encoding="utf-8")
        return gr.DownloadButton(value=str(path), interactive=True)

    def ask(self, question: str, name: str, route: str) -> Iterator[tuple[Any, ...]]:
        """Show a question, then its answer as it grows. What is there is kept, also if somebody stops it."""
        conversation = self.opened(name)
        if not question.strip():
            yield "", *self.view(conversation)
            return
        conversation.turns.append(Turn("user", question))
        self.folder.save(conversation)
        answer = Turn("assistant", "")
        messages = conversation.messages()
        left_out = next((turn.told.get(LEFT_OUT, 0) for turn in reversed(conversation.turns) if turn.is_answer), 0)
        view = self.view(conversation)
        yield "", *view
        conversation.turns.append(answer)
        saved = time.monotonic()
        try:
            for answer.text, answer.told in self.client.answer(messages, route, left_out):
                yield "", view[0], shown(conversation, answer), *view[2:]
                if time.monotonic() > saved + EVERY:
                    self.folder.save(conversation)
                    saved = time.monotonic()
        except InputError as error:
            raise failure(error) from None
        finally:
            if not answer.text:
                conversation.turns.remove(answer)
            self.folder.save(conversation)
        yield "", *self.view(conversation)

    def flag(self, name: str, given: gr.LikeData) -> tuple[Any, ...]:
        """Ask for the right answer, if somebody says that one is wrong."""
        place = given.index if isinstance(given.index, int) else given.index[0]
        question = self.opened(name).question_of(place)
        return place, gr.Textbox(value="", label=f"What would have been right? {question[:80]}"), gr.Group(visible=True)

    def mark(self, name: str, place: int, right: str) -> tuple[Any, ...]:
        """Note a wrong answer."""
        conversation = self.opened(name)
        if not 0 <= place < len(conversation.turns) or not conversation.turns[place].is_answer:
            raise failure("This answer is not there any more.")
        self.folder.mark(conversation, place, right)
        gr.Info(f"Noted in {self.folder.path.name}/{MARKS}")
        return shown(conversation), gr.Group(visible=False)


def blocks(client: Client, folder: Folder) -> gr.Blocks:
    """Lay out the page. InputError if the server does not answer: now is better than when somebody asks."""
    does, routes = Page(client, folder), client.routes()
    with gr.Blocks(title=TITLE, fill_height=True, analytics_enabled=False) as whole:
        name, place = gr.State(""), gr.State(-1)
        with gr.Sidebar(width=280):
            begin = gr.Button("New conversation")
            chosen = gr.Radio(label="Conversations", choices=[], elem_id="conversations")
            receive = gr.UploadButton("Import", file_types=[".json"], elem_id="import")
            export = gr.DownloadButton("Export this one", elem_id="export")
        route = gr.Dropdown(
            label="Who answers (auto: the router chooses)", choices=routes, value=routes[0], elem_id="route"
        )
        chat = gr.Chatbot(
            show_label=False,
            placeholder=HINT,
            feedback_options=("Dislike",),
            buttons=[],
            group_consecutive_messages=False,
            render_markdown=False,
            elem_id="chat",
            scale=1,
        )
        with gr.Group(visible=False) as correction:
            right = gr.Textbox(
                lines=2, elem_id="right", info="You may leave it empty. With it, the next build learns it."
            )
            mark = gr.Button("Note that it is wrong", variant="primary")
        asked = gr.Textbox(
            show_label=False,
            placeholder="Your question",
            submit_btn=True,
            stop_btn=True,
            elem_id="question",
            autofocus=True,
            visible=False,  # until the page is loaded: what is loaded would be written over an answer
        )
        view = [name, chat, chosen, export]
        whole.load(does.load, None, [*view, route, asked], api_visibility="private")
        answering = asked.submit(does.ask, [asked, name, route], [asked, *view], api_visibility="private")
        # An answer that still grows would be written over what is shown next.
        begin.click(does.begin, None, view, cancels=[answering], api_visibility="private")
        chosen.input(does.choose, [chosen], view, cancels=[answering], api_visibility="private")
        receive.upload(does.receive, [receive], view, cancels=[answering], api_visibility="private")
        asked.stop(does.choose, [name], view, cancels=[answering], api_visibility="private")
        chat.like(does.flag, [name], [place, right, correction], api_visibility="private")
        mark.click(does.mark, [name, place, right], [chat, correction], api_visibility="private")
    return whole
