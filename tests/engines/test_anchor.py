"""A prompt that is held fast spells the place asked for, and a key changes only its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import Segments, Snippet
from tabby_lsp.engines.llama.anchor import Anchor, drop_anchor, texts_elsewhere, with_tail
from tabby_lsp.engines.llama.kv import n_common
from tests.engines.test_layout import BOS, FIM, MID, PRE, SUF, spell, tokenize

if TYPE_CHECKING:
    from tabby_lsp.models.families import Fim
    from tabby_lsp.models.fim_table import Layout

LAYOUTS: tuple[Layout, ...] = ("psm", "spm_v1", "spm_v2")
ABOVE = "import os\n\n\ndef f(a):\n    b = 1\n"
BELOW = "\n    return b\n"


def place(prefix: str, suffix: str = BELOW, **more: Any) -> Segments:
    return Segments(prefix=prefix, suffix=suffix, path="a.py", **more)


def check(layout: Layout, before: Segments, after: Segments, prompt: str | None) -> None:
    """Hold fast the place before, and ask for the place after."""
    anchor, _ = drop_anchor(before, replace(FIM, layout=layout), tokenize, 1_000)
    tokens = with_tail(anchor, after, tokenize, 1_000)

    assert (None if tokens is None else spell(tokens)) == prompt


def test_what_is_typed_stands_behind_the_middle_where_the_prefix_is_first() -> None:
    prompt = f"[SEP]a.py\n[PRE]{ABOVE}[SUF]{BELOW}[MID]    c = b"

    check("psm", place(ABOVE + "    "), place(ABOVE + "    c = b"), prompt)


def test_a_line_end_is_typed_too() -> None:
    prompt = f"[SEP]a.py\n[PRE]{ABOVE}[SUF]{BELOW}[MID]    c = b\n    d"

    check("psm", place(ABOVE + "    c"), place(ABOVE + "    c = b\n    d"), prompt)


def test_suffix_first_families_keep_their_own_order() -> None:
    typed = place(ABOVE + "    c = b")

    check("spm_v1", place(ABOVE), typed, f"[SEP]a.py\n[SUF]{BELOW}[PRE]{ABOVE}    c = b[MID]")
    check("spm_v2", place(ABOVE), typed, f"[SEP]a.py\n[PRE][SUF]{BELOW}[MID]{ABOVE}    c = b")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_an_editor_closes_by_itself_is_not_shown(layout: Layout) -> None:
    closed = place(ABOVE + "    c = f(", ")" + BELOW, rest_closes=True)
    anchor, _ = drop_anchor(place(ABOVE), replace(FIM, layout=layout), tokenize, 1_000)
    after = with_tail(anchor, closed, tokenize, 1_000)

    assert after is not None
    assert ")" not in spell(after).replace("f(a)", "")


def test_other_code_right_of_the_cursor_is_another_place() -> None:
    check("psm", place(ABOVE), place(ABOVE + "x", " + 1" + BELOW), None)


def test_an_edit_before_the_anchor_is_another_place() -> None:
    check("psm", place(ABOVE), place(ABOVE.replace("b", "c")), None)


def test_a_line_that_is_deleted_is_another_place_where_the_prefix_is_first() -> None:
    check("psm", place(ABOVE), place(ABOVE[:-8]), None)


def test_the_window_may_begin_elsewhere_than_it_did() -> None:
    """As windows of characters do, from some lines to the next."""
    lines = "".join(f"line_{n} = {n}\n" for n in range(60))
    anchor, _ = drop_anchor(place(lines), FIM, tokenize, 2_000)
    for window in (lines, lines[200:], "before\n" + lines):
        tokens = with_tail(anchor, place(window + "x"), tokenize, 2_000)
        assert tokens is not None
        assert spell(tokens).endswith("[MID]x")


def test_more_than_fits_behind_the_middle_is_another_place() -> None:
    check("psm", place(ABOVE), place(ABOVE + "x" * 400), None)


def test_after_a_jump_the_window_begins_where_it_did() -> None:
    """So that what the prompts have in common need not be read again."""
    lines = "".join(f"line_{n} = {n}\n" for n in range(200))
    first, before = drop_anchor(place(lines[:2_000]), FIM, tokenize, 1_500)
    _, after = drop_anchor(place(lines[:2_300]), FIM, tokenize, 1_500, [first])

    assert n_common(before, after) > 700


# The laws, on texts that repeat themselves.

LINES = st.lists(st.text(alphabet="ab é", max_size=30), max_size=60).map("\n".join)
TYPED = st.text(alphabet="ab()\n ", max_size=30)


def prefix_of(prompt: list[int], fim: Fim) -> bytes:
    """The text left of the cursor that a prompt spells."""
    if fim.layout == "psm":
        suffix, middle = prompt.index(SUF), prompt.index(MID)
        return bytes(prompt[prompt.index(PRE) + 1 : suffix]) + bytes(prompt[middle + 1 :])
    if fim.layout == "spm_v1":
        return bytes(prompt[prompt.index(PRE) + 1 : -1])
    return bytes(prompt[prompt.index(MID) + 1 :])


def suffix_of(prompt: list[int]) -> bytes:
    start = prompt.index(SUF) + 1
    return bytes(prompt[start : next(n for n, t in enumerate(prompt) if n >= start and t > 255)])


def check_spells(prompt: list[int], fim: Fim, segments: Segments, n_room: int) -> None:
    suffix = segments.suffix
    if segments.rest_closes:
        suffix = suffix[len(suffix.partition("\n")[0]) :]
    assert len(prompt) <= n_room
    assert segments.prefix.encode().endswith(prefix_of(prompt, fim))
    assert suffix.encode().startswith(suffix_of(prompt))
    assert prompt[0] == BOS


@given(
    layout=st.sampled_from(LAYOUTS),
    lines=LINES,
    suffix=LINES,
    typed=TYPED,
    jump=st.integers(0, 200),
    closes=st.booleans(),
    n_room=st.integers(80, 400),
)
def test_every_prompt_spells_its_place(
    layout: Layout, lines: str, suffix: str, typed: str, jump: int, closes: bool, n_room: int
) -> None:
    fim = replace(FIM, layout=layout, bos=(BOS,))
    anchors: list[Anchor] = []
    for n in range(len(typed) + 1):
        rest = ")" if closes and n % 2 else ""
        segments = place(lines + typed[:n], rest + "\n" + suffix, rest_closes=closes)
        tried = [with_tail(anchor, segments, tokenize, n_room) for anchor in anchors]
        anchor, fresh = drop_anchor(segments, fim, tokenize, n_room, anchors)
        anchors.insert(0, anchor)
        for prompt in (fresh, *tried):
            if prompt is not None:
                check_spells(prompt, fim, segments, n_room)
    elsewhere = place(lines[:jump], lines[jump:] + suffix)
    check_spells(drop_anchor(elsewhere, fim, tokenize, n_room, anchors)[1], fim, elsewhere, n_room)


@given(layout=st.sampled_from(LAYOUTS), lines=LINES, typed=TYPED)
def test_a_key_changes_nothing_but_the_end(layout: Layout, lines: str, typed: str) -> None:
    """One token, and those that stand behind the prefix."""
    fim = replace(FIM, layout=layout)
    anchor, before = drop_anchor(place(lines), fim, tokenize, 4_000)
    for n in range(1, len(typed) + 1):
        after = with_tail(anchor, place(lines + typed[:n]), tokenize, 4_000)
        assert after is not None
        assert len(after) - n_common(before, after) <= 1 + len(anchor.after)
        before = after


def test_snippets_stand_before_everything() -> None:
    snippets = (Snippet("b.py", "B\n"),)

    check("psm", place("p", "s", snippets=snippets), place("pq", "s"),
          "[SEP]b.py\nB\n[SEP]a.py\n[PRE][SUF]s[MID]pq")  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_imports_above_the_window_stay_while_somebody_types(layout: Layout) -> None:
    body = "".join(f"x{n} = 1\n" for n in range(100))
    before = place(body, imports="import os\n")
    anchor, prompt = drop_anchor(before, replace(FIM, layout=layout), tokenize, 400)
    after = with_tail(anchor, place(body + "y", imports="import os\n"), tokenize, 400)

    assert after is not None
    assert len(prompt) <= 400
    assert len(after) <= 400
    assert spell(after).count("import os\nx") == 1
    assert spell(after).startswith(spell([*anchor.before]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_imports_that_the_window_shows_are_not_shown_twice(layout: Layout) -> None:
    whole = place("import os\n" + "x = 1\n" * 20, imports="import os\n")
    _, prompt = drop_anchor(whole, replace(FIM, layout=layout), tokenize, 1_000)

    assert spell(prompt).count("import os") == 1


def test_what_stands_elsewhere_is_what_stands_there_now() -> None:
    def elsewhere(segments: Segments) -> tuple[str, ...]:
        return texts_elsewhere(anchor, segments)

    snippet = Snippet("b.py", "B\n")
    body = "".join(f"x{n} = 1\n" for n in range(100))
    below = "".join(f"y{n} = 1\n" for n in range(100))
    shelf = {"imports": "import shelf\n", "snippets": (snippet,)}
    spm = replace(FIM, layout="spm_v2")
    anchor, prompt = drop_anchor(place(body, "\n" + below, **shelf), spm, tokenize, 600)
    window = spell(prompt).rpartition("import shelf\n")[2]
    above = body[: -len(window)]

    assert elsewhere(place(body + "z", "\n" + below, **shelf)) == (
        "B\n", "\n" + below, "import shelf\n", above,
    )  # fmt: skip
    changed = below.replace("y99", "new_name")
    assert elsewhere(place(body + "z", "\n" + changed, **shelf))[1] == "\n" + changed
    assert elsewhere(place(body.replace("x0", "w"), "", **shelf))[-1] == above.replace("x0", "w")


def test_what_lies_further_off_is_copied_from_and_never_read() -> None:
    further = ("below\r\n", "above\n" * 2_000)
    segments = place(ABOVE + "    c", further=further)
    anchor, prompt = drop_anchor(segments, FIM, tokenize, 1_000)

    assert texts_elsewhere(anchor, segments)[:2] == ("below\n", further[1])
    assert prompt == drop_anchor(place(ABOVE + "    c"), FIM, tokenize, 1_000)[1]


def test_where_the_prefix_is_first_the_window_is_elsewhere() -> None:
    anchor, _ = drop_anchor(place(ABOVE + "    c"), FIM, tokenize, 1_000)

    assert texts_elsewhere(anchor, place(ABOVE + "    c")) == (BELOW, ABOVE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_imports_and_a_long_path_keep_to_the_room(layout: Layout) -> None:
    segments = replace(place("x = 1\n" * 200, imports="import os\n" * 9), path="p" * 290)
    _, prompt = drop_anchor(segments, replace(FIM, layout=layout), tokenize, 400)

    assert len(prompt) <= 400
