"""Find calls of functions in answers while they are written."""

import json
from typing import Any

from ingot.serving.pieces import Piece
from ingot.text.calls import call_in


def read_call(text: str, names: set[str]) -> tuple[str, dict[str, Any]] | None:
    """Read an answer that is a call of one of some functions, with arguments that JSON can hold. None if it is not."""
    call = call_in(text.replace("<tool_call>", "").replace("</tool_call>", ""))
    try:
        if call and call[0] in names and json.dumps(call[1], allow_nan=False, ensure_ascii=False).encode():
            return call
    except (TypeError, ValueError):
        pass
    return None


def hold_back_calls(piece: Piece, held: dict[int, str], names: set[str]) -> Piece:
    """Hold back the text of an answer that begins as a call does; at its end, give the call, or the text if it is none.

    `held` has, for each answer that may still be a call, the text that was held back.
    """
    text = held.get(piece.index, "") + piece.text
    begins = text.lstrip()
    may_be_call = piece.index not in held or bool(held[piece.index])
    if may_be_call and (not begins or begins[0] in "{[`" or "<tool_call>".startswith(begins[:11])):
        if piece.finish is None:
            if text:
                held[piece.index] = text
            return Piece(piece.index, "", piece.tokens)
        if piece.finish == "stop" and (call := read_call(begins, names)):
            return Piece(piece.index, "", piece.tokens, "tool_calls", call)
    held[piece.index] = ""
    return Piece(piece.index, text, piece.tokens, piece.finish)
