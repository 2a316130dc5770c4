"""Traces of typing: what is typed is what the files say, and a trace survives its JSON."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.keystrokes.trace import (
    Back,
    Follow,
    Key,
    Move,
    Open,
    Over,
    Trace,
    Type,
    classes,
    from_json,
    started,
    to_json,
    visits,
)
from benchmarks.keystrokes.typist import type_files

CODE = "".join(
    f"def f{n}(first, second):\n    '''Says (no) more.'''\n"
    f"    return g(first[{n}], {{'a': second}})\n\n"
    for n in range(80)
)


def made(text: str = CODE, n_keystrokes: int = 300, seed: int = 0) -> Trace:
    return type_files([("a.py", text), ("b.py", text + "# b\n")], n_keystrokes, seed)


def replayed(trace: Trace, files: dict[str, str]) -> list[str]:
    """The texts after the last key."""
    desk = started(trace, lambda path: files[path])
    for key in trace.keys:
        desk.press(key)
    return desk.texts


# Lines as they come, with what is hard about them: brackets that do not match, deep and odd
# indentation, blanks alone, characters that other languages count as several.
LINES = st.lists(
    st.text(st.sampled_from("ab \t:([{)]}'\"#é😀\x0c\u2028"), max_size=20), max_size=120
)


@given(LINES, LINES, st.integers(1, 400), st.integers(0, 2**32))
def test_the_last_key_leaves_the_files_as_they_are(
    first: list[str], second: list[str], n_keystrokes: int, seed: int
) -> None:
    files = {"a.py": "\n".join([*first, *CODE.split("\n")]), "b.py": "\n".join(second)}
    trace = type_files([*files.items()], n_keystrokes, seed)
    assert replayed(trace, files) == [files[source.path] for source in trace.sources]


@given(st.integers(0, 2**32))
def test_a_trace_comes_back_from_its_json(seed: int) -> None:
    trace = made(seed=seed)
    assert from_json(to_json(trace)) == trace


def test_the_same_seed_makes_the_same_trace_and_another_one_another() -> None:
    assert made(seed=3) == made(seed=3) != made(seed=4)


def test_about_as_many_keys_as_were_wanted() -> None:
    for n_keystrokes in (100, 1_000):
        n_made = made(CODE * 10, n_keystrokes).n_keystrokes
        assert n_keystrokes * 0.8 < n_made < n_keystrokes * 1.6


def test_everything_that_typists_do_is_in_a_trace() -> None:
    trace = made(CODE * 10, 2_000)
    assert {type(key) for key in trace.keys} == {Open, Move, Type, Back, Over, Follow}
    closers = {key.closer for key in trace.keys if isinstance(key, Type)}
    assert closers == {"", ")", "]", "}", "'"}
    assert len(visits(trace)) > 5


def test_a_file_switch_goes_to_another_file_and_a_jump_to_another_place() -> None:
    trace = made(CODE * 10, 2_000)
    opened = [key.document for key in trace.keys if isinstance(key, Open)]
    assert all(one != next_one for one, next_one in pairwise(opened))
    desk = started(trace, {"a.py": CODE * 10, "b.py": CODE * 10 + "# b\n"}.__getitem__)
    for key in trace.keys:
        before = (desk.document, desk.cursor)
        desk.press(key)
        assert not isinstance(key, Move) or (desk.document, desk.cursor) != before


def classes_of(*keys: Key) -> list[str | None]:
    return [*classes(Trace(0, (), keys))]


def test_the_first_key_at_a_place_is_named_after_the_way_there() -> None:
    assert classes_of(
        Open(0), Move(3, 0), Type("\n"), Type("a"), Back(), Move(9, 0), Type("b"), Over()
    ) == [None, None, "cold", "mid-line", "backspace", None, "jump", "mid-line"]
    assert classes_of(
        Open(0), Type("a"), Open(1), Type("\n    "), Open(0), Follow("all"), Type("\n")
    ) == [
        None,
        "cold",
        None,
        "cold",
        None,
        None,
        "file switch",
    ]


def test_a_file_that_has_changed_since_is_refused() -> None:
    trace = made()
    try:
        started(trace, lambda path: CODE + "more")
    except ValueError as error:
        assert "another file" in str(error)
    else:
        raise AssertionError("a trace was replayed on another file")


def test_what_is_no_trace_is_named() -> None:
    for text in ("{}", "[]", '{"seed": 1, "sources": [], "keys": [["jump"]]}', "x"):
        try:
            from_json(text)
        except ValueError as error:
            assert "not a trace" in str(error)
        else:
            raise AssertionError(text)
