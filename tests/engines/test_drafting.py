"""What stands behind the same tokens elsewhere is guessed, where a guess saves time."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.llama.drafting import Drafting, Drafts
from tabby_lsp.engines.llama.searched import Searched
from tabby_lsp.engines.llama.standing import BREAK

# Token n is said as the letter n of these.
LETTERS = "abcdefghijklm\n"
TOKENS = st.lists(st.integers(0, len(LETTERS) - 1), max_size=30)


def tokens(text: str) -> list[int]:
    return [BREAK if letter == "|" else LETTERS.index(letter) for letter in text]


def piece(token: int) -> bytes:
    return LETTERS[token].encode()


def drafts(*, more_takes: float = 0.0) -> Drafts:
    """Of a model of which each further token takes so much of the time of one alone."""
    known = Drafts()
    for n in range(1, 17):
        known.pace.took(n, 1.0 + more_takes * (n - 1))
    return known


def drafted(
    before: str,
    elsewhere: str = "",
    *,
    known: Drafts | None = None,
    n_most: int = 7,
    typed: str = "",
) -> str:
    drafting = Drafting(
        known or drafts(), Searched(tokens(elsewhere)), tokens(before), piece, typed.encode()
    )
    return "".join(LETTERS[token] for token in drafting.draft(1, n_most))


def answered(known: Drafts, before: str, answer: str) -> None:
    """Somebody was told that, and drafts were made for it on the way."""
    drafting = Drafting(known, Searched(()), tokens(before), piece)
    for token in tokens(answer):
        drafting.draft(1, 7)
        drafting.hear(token)
    drafting.end()


def test_what_stands_behind_the_same_is_drafted() -> None:
    assert drafted("ab", "abcdef") == "cdef"
    assert drafted("abcdefab") == "cdefab"


def test_where_more_is_the_same_is_the_better_place() -> None:
    assert drafted("abc", "abcd|bce|cf") == "d"


def test_of_equally_good_places_the_nearest_is_taken() -> None:
    assert drafted("ab", "abc|abd") == "d"
    assert drafted("abemab", "abc") == "emab"


def test_a_draft_ends_with_its_text() -> None:
    assert drafted("ab", "abc|def") == "c"
    assert drafted("ab", "ab") == ""


def test_nothing_is_drafted_where_nothing_is_the_same() -> None:
    assert drafted("a", "bcd") == ""
    assert drafted("", "bcd") == ""


def test_a_draft_goes_on_with_what_was_typed() -> None:
    assert drafted("ab", "abc|abd", typed="c") == "c"
    assert drafted("ab", "abc|abd", typed="e") == ""


def test_no_more_is_drafted_than_is_wanted() -> None:
    assert drafted("ab", "abcdefghijklm", n_most=2) == "cd"
    assert drafted("ab", "abcdefghijklm", n_most=0) == ""
    assert drafted("ab", "abcdefghijklm", n_most=99) == "cdefghi"


def test_an_answer_of_one_line_is_drafted_up_to_its_end() -> None:
    make = partial(Drafting, drafts(), Searched(tokens("abc\nd")), tokens("ab"), piece)

    assert make().draft(1, 7) == tokens("c\nd")
    assert make(is_one_line=True).draft(1, 7) == tokens("c")


def test_what_was_said_at_the_last_key_is_drafted() -> None:
    known = drafts()
    answered(known, "lab", "cdef")

    assert drafted("labc", known=known) == "def"
    assert drafted("ab", "abm", known=known) == "cdef"


def test_nothing_is_drafted_where_more_tokens_take_as_long_as_each_alone() -> None:
    assert drafted("ab", "abcdef", known=drafts(more_takes=1.0)) == ""


def test_the_dearer_more_tokens_are_the_shorter_a_draft_is() -> None:
    lengths = [
        len(drafted("abcd", "abcdefghijklm", known=drafts(more_takes=share / 10)))
        for share in range(11)
    ]

    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == 7
    assert lengths[-1] == 0


def test_what_is_never_right_is_no_longer_drafted() -> None:
    known = drafts(more_takes=0.2)
    assert drafted("ab", "abcdef", known=known)
    for _ in range(20):
        drafting = Drafting(known, Searched(tokens("abc")), tokens("ab"), piece)
        drafting.draft(1, 7)
        drafting.hear(tokens("m")[0])

    assert drafted("ab", "abcdef", known=known) == ""


def test_what_was_wrong_for_a_while_is_drafted_again() -> None:
    """Whether a guess would have been right is learned also while nothing is drafted."""
    known = drafts(more_takes=0.2)
    for said, n_times in (("m", 30), ("c", 60)):
        for _ in range(n_times):
            drafting = Drafting(known, Searched(tokens("abc")), tokens("ab"), piece)
            drafting.draft(1, 7)
            drafting.hear(tokens(said)[0])

    assert drafted("ab", "abcdef", known=known).startswith("c")


def test_who_was_told_nothing_pushes_no_answer_out() -> None:
    known = drafts()
    answered(known, "lab", "cdef")
    for _ in range(20):
        answered(known, "hi", "")

    assert drafted("lab", known=known) == "cdef"


def test_an_end_where_a_draft_goes_on_says_that_it_was_wrong() -> None:
    known = drafts(more_takes=0.2)
    for _ in range(20):
        drafting = Drafting(known, Searched(tokens("abc")), tokens("ab"), piece)
        drafting.draft(1, 7)
        drafting.hear(None)

    assert drafted("ab", "abcdef", known=known) == ""


def test_what_is_always_right_is_drafted_where_that_is_dear() -> None:
    known = drafts(more_takes=0.9)
    assert drafted("ab", "abcdef", known=known) == ""
    known = drafts(more_takes=0.9)
    for n_same in range(1, 9):
        for _ in range(80):
            known.learn(n_same, is_answer=False, is_right=True)
            known.learn_clear(is_clear=True)

    assert drafted("ab", "abcdef", known=known) == "cdef"


def test_nothing_is_drafted_where_the_model_is_never_sure() -> None:
    """Such a token would have to be computed alone once more."""
    known = drafts(more_takes=0.2)
    for _ in range(40):
        known.learn_clear(is_clear=False)

    assert drafted("ab", "abcdef", known=known) == ""


@given(TOKENS, TOKENS, st.integers(1, 20), st.integers(-1, 9), st.floats(0, 1))
def test_a_draft_is_what_stands_behind_the_last_token(
    before: list[int], elsewhere: list[int], n_read: int, n_most: int, more_takes: float
) -> None:
    drafting = Drafting(drafts(more_takes=more_takes), Searched(elsewhere), before, piece)
    found = drafting.draft(n_read, n_most)

    assert len(found) <= max(0, n_most)
    for text in (before, elsewhere):
        wanted = [*before[-1:], *found]
        if any(text[at : at + len(wanted)] == wanted for at in range(len(text))):
            return
    assert not found
