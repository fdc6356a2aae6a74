from ingot.text import chat


def test_training_sees_what_serving_sees(tokenizer):
    """Prompt ids are those of the prompt alone, whatever answer follows."""
    for question, answer in [
        ("What is 1 + 1?", "2"),
        ("Write f.", "\n\n  def f():"),
        ("é <|im_end|> ?", " x"),
        ("", "a"),
    ]:
        encoded = chat.encode(tokenizer, question, answer)
        prompt = tokenizer(chat.prompt_text(tokenizer, question), add_special_tokens=False)["input_ids"]
        assert encoded.ids[: encoded.prompt] == prompt
        assert encoded.ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(encoded.ids[encoded.prompt : -1]) == answer


def test_the_template_marks_answers_for_trl(tokenizer):
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    out = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    marked = [i for i, mark in zip(out["input_ids"], out["assistant_masks"], strict=True) if mark]
    assert tokenizer.decode(marked) == "A<|im_end|>"


def test_packing_keeps_every_token_and_cuts_nothing():
    conversations = [chat.Encoded(list(range(10 * i, 10 * i + n)), prompt=2) for i, n in enumerate([4, 5, 3, 9, 2], 1)]
    packed = chat.pack(conversations, 8, pad=0)
    rows, labels, positions = packed["input_ids"], packed["labels"], packed["position_ids"]
    assert all(len(row) == len(label) == len(at) == 8 for row, label, at in zip(rows, labels, positions, strict=True))
    kept = [token for row in rows for token in row if token]
    assert kept == [t for c in conversations if len(c.ids) <= 8 for t in c.ids]
    learned = [t for label in labels for t in label if t != -100]
    assert learned == [t for c in conversations if len(c.ids) <= 8 for t in c.ids[2:]]


def test_packing_nothing_gives_no_rows():
    assert chat.pack([], 8, 0) == {"input_ids": [], "labels": [], "position_ids": []}


def test_positions_begin_anew_with_each_text_and_with_the_padding():
    conversations = [chat.Encoded([7] * n, prompt=2) for n in (4, 3, 5)]
    packed = chat.pack(conversations, 8, pad=0)
    assert packed["position_ids"] == [[0, 1, 2, 3, 0, 1, 2, 0], [0, 1, 2, 3, 4, 0, 1, 2]]
    assert packed["input_ids"] == [[7] * 7 + [0], [7] * 5 + [0] * 3]
