"""Prompts as text: spelled as each family was trained, and no control token out of a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import EngineError, Segments, Snippet
from tabby_lsp.engines.remote.text_prompt import render_halves, render_text, without_controls
from tabby_lsp.models.families import families_named
from tabby_lsp.models.fim_table import FAMILIES, OTHER_CONTROLS, STARTER

SEGMENTS = Segments(prefix="P", suffix="S", path="a.py", repository="R", language="python",
                    snippets=(Snippet("b.py", "B\n"),))  # fmt: skip
TOKENS = sorted(
    {token.lstrip("▁") for row in (*FAMILIES, STARTER) for token in row.tokens}
    | {*OTHER_CONTROLS, "<|endoftext|>", "<|im_end|>", "<｜begin▁of▁sentence｜>"}  # noqa: RUF001
)


@pytest.mark.parametrize(
    ("family", "prompt"),
    [
        ("Qwen2.5-Coder", "<|repo_name|>R\n<|file_sep|>b.py\nB\n<|file_sep|>a.py\n"
                          "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
        ("StarCoder2", "<repo_name>R<file_sep>b.py\nB\n<file_sep><fim_prefix>a.py\nP"
                       "<fim_suffix>S<fim_middle>"),
        ("StarCoder", "<fim_prefix><filename>a.py\nP<fim_suffix>S<fim_middle>"),
        ("DeepSeek-Coder", "<｜fim▁begin｜>#b.py\nB\n#a.py\nP<｜fim▁hole｜>S<｜fim▁end｜>"),  # noqa: RUF001
        ("CodeLlama", "<PRE>P <SUF>S <MID>"),
        ("CodeGemma", "b.py\nB\n<|file_separator|>a.py\n"
                      "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
        ("Codestral", "[SUFFIX]S[PREFIX]+++++ b.py\nB\n\n+++++ a.py\nP"),
        ("Mellum", "<filename>b.py\nB\n<filename>a.py\n<fim_suffix>S<fim_prefix>P<fim_middle>"),
        ("Seed-Coder", "<[fim-suffix]>S<[fim-prefix]><filename>b.py\nB\n\n<filename>a.py\nP"
                       "<[fim-middle]>"),
        ("starter", "<file_sep>b.py\nB\n<file_sep>a.py\n<fim_prefix><fim_suffix>S<fim_middle>P"),
    ],
)  # fmt: skip
def test_a_family_is_spelled_as_it_was_trained(family: str, prompt: str) -> None:
    assert render_text(SEGMENTS, families_named(family)[0], 4_000) == prompt


def test_a_family_that_is_none_is_refused_with_all_there_are() -> None:
    with pytest.raises(EngineError, match=r"no family 'gpt'.*CodeGemma.*starter"):
        families_named("gpt")


HOSTILE = st.lists(st.sampled_from(TOKENS) | st.text(max_size=3) | st.sampled_from("<|>[]｜▁"))  # noqa: RUF001


@given(HOSTILE.map("".join), HOSTILE.map("".join))
def test_no_text_writes_a_control_token(prefix: str, suffix: str) -> None:
    """The prompt has exactly the control tokens that it has without the user's text."""
    path, repository = suffix[:9], prefix[:9]
    snippets = (Snippet(prefix[-9:] or "p", suffix + "\n"),)
    segments = Segments(
        prefix=prefix,
        suffix=suffix,
        imports="".join(prefix.split("\n")) + "\n" + suffix,
        path=path,
        repository=repository,
        snippets=snippets,
    )
    plain = Segments(
        prefix="p",
        suffix="s",
        path=path and "q",
        repository=repository and "r",
        snippets=(Snippet("b", "t\n"),),
    )
    for row in (*FAMILIES, STARTER):
        hostile, harmless = (render_text(each, row, 4_000) for each in (segments, plain))
        for token in (text.lstrip("▁") for text in row.tokens):
            assert hostile.count(token) == harmless.count(token)
    halves = render_halves(segments, 4_000)
    for token in TOKENS:
        assert token not in halves.prefix + "\0" + halves.suffix


@given(st.text())
def test_what_is_broken_differs_by_spaces_only(text: str) -> None:
    broken = without_controls(text, None)
    assert broken.replace(" ", "") == text.replace(" ", "")


def test_ordinary_code_is_left_alone() -> None:
    for text in ("a <| b |> c", "if x<y and z>y: pass", "#[derive(Debug)]", "x[PREFIX_LEN]",
                 "List<String>", "<div>|</div>", "a << 1 | b >> 2"):  # fmt: skip
        assert without_controls(text, None) == text
    qwen = families_named("Qwen2.5-Coder")[0]
    assert without_controls("usage: cp <filename> [PREFIX]", qwen) == (
        "usage: cp <filename> [PREFIX]"
    )


def test_snippets_are_comments_where_a_language_has_them() -> None:
    css = Segments(prefix="P", suffix="S", language="css", snippets=SEGMENTS.snippets)
    assert render_halves(css, 4_000).prefix == "P"
    two = Segments(prefix="P", suffix="S", language="lua",
                   snippets=(Snippet("a.lua", "x\n\ny\n"), Snippet("b.lua", "z\n")))  # fmt: skip
    assert render_halves(two, 4_000).prefix == (
        "-- Path: a.lua\n-- x\n--\n-- y\n--\n-- Path: b.lua\n-- z\nP"
    )


@given(st.integers(0, 300), st.text("ab\n", max_size=2_000), st.text("ab\n", max_size=2_000))
def test_halves_keep_what_is_nearest_within_the_room(n_room: int, prefix: str, suffix: str) -> None:
    halves = render_halves(Segments(prefix=prefix, suffix=suffix), n_room)
    # The suffix that stands for none may be one too many.
    assert len(halves.prefix) + len(halves.suffix) <= n_room * 3 + 1
    assert prefix.endswith(halves.prefix)
    assert suffix.startswith(halves.suffix) or halves.suffix == "\n"


def test_the_same_beginning_is_left_out_while_somebody_types() -> None:
    long = "x = 1\n" * 500
    starts = set()
    for n_typed in range(80):
        prefix = long + "y" * n_typed
        starts.add(len(prefix) - len(render_halves(Segments(prefix=prefix, suffix=""), 300).prefix))
    assert len(starts) == 1
