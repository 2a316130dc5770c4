"""Segments become tokens in the order of the family, within its room, and stay in place."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import Segments, Snippet
from tabby_lsp.engines.llama.layout import render
from tabby_lsp.models.families import Fim

PRE, SUF, MID, SEP, REPO, BOS = range(1000, 1006)

FIM = Fim(
    family="test",
    layout="psm",
    prefix=PRE,
    suffix=SUF,
    middle=MID,
    snippet=(SEP, "{path}\n{text}"),
    path_before=(SEP, "{path}\n"),
    end_tokens=frozenset({SEP}),
)
NAMES = {PRE: "[PRE]", SUF: "[SUF]", MID: "[MID]", SEP: "[SEP]", REPO: "[REPO]", BOS: "[BOS]"}


def tokenize(text: str) -> list[int]:
    """One token for each byte: ids below 256, so that no text can be a control token."""
    return list(text.encode())


def spell(tokens: list[int]) -> str:
    """The prompt as a person reads it."""
    return "".join(NAMES.get(token) or chr(token) for token in tokens)


def check(fim: Fim, prompt: str, **segments: object) -> None:
    given_segments = Segments(**{"prefix": "p", "suffix": "s", "path": "a.py", **segments})  # type: ignore[arg-type]

    assert spell(render(given_segments, fim, tokenize, 10_000)) == prompt


def test_prefix_suffix_middle() -> None:
    check(FIM, "[SEP]a.py\n[PRE]p[SUF]s[MID]")


def test_suffix_prefix_middle() -> None:
    check(replace(FIM, layout="spm_v1"), "[SEP]a.py\n[SUF]s[PRE]p[MID]")


def test_the_prefix_runs_into_the_middle() -> None:
    check(replace(FIM, layout="spm_v2"), "[SEP]a.py\n[PRE][SUF]s[MID]p")


def test_a_family_without_a_middle_token() -> None:
    check(replace(FIM, layout="spm_v1", middle=None), "[SEP]a.py\n[SUF]s[PRE]p")


def test_snippets_stand_first_in_their_order() -> None:
    snippets = (Snippet("b.py", "B\n"), Snippet("c.py", "C\n"))

    check(FIM, "[SEP]b.py\nB\n[SEP]c.py\nC\n[SEP]a.py\n[PRE]p[SUF]s[MID]", snippets=snippets)


def test_the_beginning_of_the_text_stands_before_everything() -> None:
    fim = replace(FIM, bos=(BOS,), repository=(REPO, "{repository}\n"))

    check(fim, "[BOS][REPO]lib\n[SEP]a.py\n[PRE]p[SUF]s[MID]", repository="lib")


def test_a_path_and_snippets_inside_the_prefix() -> None:
    fim = replace(
        FIM, path_before=(), path_in_prefix=("#{path}\n",), snippet=("#{path}\n{text}",),
        snippets_in_prefix=True,
    )  # fmt: skip

    check(fim, "[PRE]#b.py\nB\n#a.py\np[SUF]s[MID]", snippets=(Snippet("b.py", "B\n"),))


def test_a_document_without_a_path_has_no_header() -> None:
    check(FIM, "[PRE]p[SUF]s[MID]", path="")


def test_line_ends_are_those_of_the_training() -> None:
    check(FIM, "[SEP]a.py\n[PRE]a\nb[SUF]\nc[MID]", prefix="a\r\nb", suffix="\rc")


def spell_snippets(*snippets: Snippet, n_room: int) -> str:
    """What a prompt of `n_room` tokens, a quarter of which is for snippets, shows of them."""
    segments = Segments(prefix="p", suffix="s", path="a.py", snippets=snippets)
    return spell(render(segments, FIM, tokenize, n_room)).partition("[SEP]a.py")[0]


def test_a_snippet_that_does_not_fit_loses_its_last_lines() -> None:
    long = Snippet("b.py", "".join(f"line {n}\n" for n in range(100)))

    assert spell_snippets(long, n_room=120) == "[SEP]b.py\nline 0\nline 1\nline 2\n"


def test_the_most_helpful_snippets_are_kept_and_stand_in_their_order() -> None:
    first, second = Snippet("b.py", "B" * 30 + "\n", rank=1), Snippet("c.py", "C" * 30 + "\n")
    third = Snippet("d.py", "D" * 30 + "\n", rank=2)
    shown = spell_snippets(first, second, third, n_room=340)

    assert shown == f"[SEP]b.py\n{first.text}[SEP]c.py\n{second.text}"


def test_a_snippet_of_which_no_line_fits_is_left_out() -> None:
    assert spell_snippets(Snippet("b.py", "B" * 500 + "\n"), n_room=200) == ""
    assert spell_snippets(Snippet("b.py" * 50, "B\n"), n_room=200) == ""


@given(
    texts=st.lists(st.text(alphabet="ab\n", max_size=60), max_size=5),
    ranks=st.permutations(range(5)),
    n_room=st.integers(20, 300),
)
def test_snippets_keep_to_their_room(texts: list[str], ranks: list[int], n_room: int) -> None:
    snippets = [
        Snippet(f"{n}.py", text, rank)
        for n, (text, rank) in enumerate(zip(texts, ranks, strict=False))
    ]
    shown = spell_snippets(*snippets, n_room=n_room)
    parts = [part.partition("\n") for part in shown.split("[SEP]")[1:]]

    assert len(shown.replace("[SEP]", ".")) <= n_room // 4
    assert [path for path, _, _ in parts] == sorted(path for path, _, _ in parts)
    for path, _, text in parts:
        whole = texts[int(path[0])].removesuffix("\n") + "\n"
        assert text.endswith("\n") and whole.startswith(text)


def test_text_of_many_tokens_to_a_character_fills_its_room_too() -> None:
    """A Chinese character has three bytes, and here three tokens."""
    prefix = "".join(f"# 第{n}行的注释\n" for n in range(200))
    prompt = render(Segments(prefix=prefix, suffix=""), FIM, tokenize, 600)

    assert 300 < len(prompt) <= 600


IMPORTS = "import os\nfrom a import B\n"


def shown(prefix: str, n_room: int) -> str:
    segments = Segments(prefix=prefix, suffix="", path="a.py", imports=IMPORTS)
    return (
        spell(render(segments, FIM, tokenize, n_room)).partition("[PRE]")[2].partition("[SUF]")[0]
    )


def test_the_imports_stand_above_a_window_that_begins_below_them() -> None:
    body = "x = 1\n" * 100

    assert shown(IMPORTS + body + "y", 1_000) == IMPORTS + body + "y"
    window = shown(IMPORTS + body + "y", 300)
    assert window.startswith(IMPORTS + "x = 1\n")
    assert window.endswith("x = 1\ny")
    # Whoever asks has cut them off already.
    assert shown(body + "y", 1_000) == IMPORTS + body + "y"


def test_a_line_that_only_contains_the_first_import_is_not_it() -> None:
    assert shown("import osx\n" * 60, 300).startswith(IMPORTS)


def test_of_more_imports_than_there_is_room_for_the_last_are_shown() -> None:
    assert shown("x = 1\n" * 100, 200).startswith("from a import B\nx = 1\n")
    assert shown("x = 1\n" * 100, 60).startswith("x = 1\n")


LINES = st.lists(st.text(alphabet="ab é", max_size=30), max_size=80).map("\n".join)


@given(prefix=LINES, suffix=LINES, n_room=st.integers(60, 400))
def test_a_prompt_fits_its_room_and_keeps_what_is_nearest(
    prefix: str, suffix: str, n_room: int
) -> None:
    prompt = render(Segments(prefix=prefix, suffix=suffix, path="a.py"), FIM, tokenize, n_room)
    begin, end = prompt.index(PRE), prompt.index(SUF)

    assert len(prompt) <= n_room
    assert prefix.encode().endswith(bytes(prompt[begin + 1 : end]))
    assert suffix.encode().startswith(bytes(prompt[end + 1 : -1]))


@given(prefix=LINES, typed=st.text(alphabet="ab\n", min_size=1, max_size=40))
def test_typing_moves_nothing_but_at_a_step(prefix: str, typed: str) -> None:
    fim = replace(FIM, layout="spm_v2")
    prompts = [
        render(Segments(prefix=prefix + typed[:n], suffix="s"), fim, tokenize, 300)
        for n in range(len(typed) + 1)
    ]
    moved = [after[: len(before)] != before for before, after in pairwise(prompts)]

    # A step frees more room than forty characters take.
    assert sum(moved) <= 1
