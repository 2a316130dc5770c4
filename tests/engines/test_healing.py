"""Tokens that may become longer are taken back, and what is typed comes out of the answer again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.llama.healing import MOST_TOKENS, Healing, Vocabulary, n_taken_back
from tabby_lsp.engines.llama.sampling import Greedy

PIECES = [b"", b"self", b".", b"w", b"wi", b"width", b".width", b"\n", b"\n    ", b"\xc3", b"\xa9"]
PIECES += [b"\xc3\xa9t\xc3\xa9", b"x", b"\xff\xff", b"("]
PIECES += [byte for n in range(256) if (byte := bytes([n])) not in PIECES]
VOCABULARY = Vocabulary(PIECES)


def taken_back(*pieces: bytes) -> int:
    return n_taken_back([PIECES.index(piece) for piece in pieces], VOCABULARY)


def test_a_token_that_no_other_begins_with_stays() -> None:
    assert taken_back(b"self", b"(") == 0
    assert taken_back() == 0


def test_the_beginning_of_a_name_is_taken_back() -> None:
    assert taken_back(b"x", b"wi") == 1
    assert taken_back(b"x", b"w") == 1


def test_two_tokens_that_may_be_one_are_taken_back() -> None:
    assert taken_back(b"self", b".", b"wi") == 2
    assert taken_back(b"self", b".", b"w") == 2


def test_a_line_end_may_take_its_indentation() -> None:
    assert taken_back(b"x", b"\n") == 1
    assert taken_back(b"x", b"\n    ") == 0


def test_half_a_character_is_taken_back_whole() -> None:
    assert taken_back(b"x", b"\xc3", b"\xa9") == 2


def test_bytes_without_a_successor_have_a_range() -> None:
    assert VOCABULARY.goes_on(b"\xff")
    assert not VOCABULARY.goes_on(b"\xff\xff")


def test_the_likeliest_that_fits_is_chosen_until_all_is_said() -> None:
    healing = Healing(b".wi", VOCABULARY, Greedy([0]))
    logits = np.zeros(len(PIECES), dtype=np.float32)
    logits[PIECES.index(b"(")] = 90
    logits[PIECES.index(b".")] = 3
    first = healing(logits)
    healing.hear(first.token or 0)
    logits[PIECES.index(b"width")] = 2
    second = healing(logits)
    healing.hear(second.token or 0)

    assert [PIECES[choice.token or 0] for choice in (first, second)] == [b".", b"width"]
    assert first.logprob > -0.2
    assert PIECES[healing(logits).token or 0] == b"("


@given(st.lists(st.integers(1, len(PIECES) - 1), min_size=1, max_size=6), st.randoms())
def test_what_is_said_begins_with_what_was_taken_back(tokens: list[int], chance: object) -> None:
    n_back = n_taken_back(tokens, VOCABULARY)
    typed = b"".join(PIECES[token] for token in tokens[len(tokens) - n_back :])
    healing = Healing(typed, VOCABULARY, Greedy([0]))
    said, logits = b"", np.zeros(len(PIECES), dtype=np.float32)
    while len(said) < len(typed):
        logits = np.array([9.0, *(chance.random() for _ in PIECES[1:])], dtype=np.float32)  # type: ignore[attr-defined]
        token = healing(logits).token
        assert token is not None
        healing.hear(token)
        said += PIECES[token]

    assert n_back <= MOST_TOKENS
    assert said.startswith(typed)
    logits[0] = 1e3
    assert healing(logits).token is None
