"""The figures as tables, and examples to read."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from benchmarks.quality.asking import Answer, Typed
from benchmarks.quality.figures import (
    MEASURES,
    difference,
    figure,
    is_exact,
    is_shown_right,
    keys_saved,
    median,
    parts,
    quotient,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.quality.figures import Part

_Entry = TypeVar("_Entry", Answer, Typed)

_EXAMPLE_CHARS = 60


def print_run(title: str, answers: Sequence[Answer], typed: Sequence[Typed]) -> None:
    """Every measure, then exact matches by kind of place."""
    n_files = len({each.file for each in answers})
    print(f"\n{title}: {len(answers)} places in {n_files} files")
    for measure in MEASURES:
        print(f"  {measure:34} {figure(parts(answers, measure))}")
    if typed:
        print(f"  {f'keys saved, {len(typed)} lines typed':34} {figure(keys_saved(typed))}")
    n_failed = sum(each.reason.startswith("engine-") for each in answers)
    if n_failed:
        print(f"  NOT ANSWERED, since the engine failed: {n_failed} places")
    waits = [each.ms for each in answers]
    print(
        f"  milliseconds: median {median(waits):.0f}, of ten the slowest {median(waits, 0.9):.0f}"
    )
    print(
        f"  {'by kind of place':24} {'places':>6}  {'exact, every place':24} exact of what is shown"
    )
    kinds = sorted({each.kind for each in answers})
    for kind in [*kinds, "names of other files"]:
        own = [e for e in answers if e.kind == kind or (kind not in kinds and e.is_cross_file)]
        exact, shown = (figure(parts(own, m)) for m in [*MEASURES][::3])
        print(f"  {kind:24} {len(own):6}  {exact!s:24} {shown}")


def print_difference(
    title: str,
    own: tuple[Sequence[Answer], Sequence[Typed]],
    other: tuple[Sequence[Answer], Sequence[Typed]],
) -> None:
    """Own less other, at the places that both have."""
    (answers, others), (typed, others_typed) = _paired(own[0], other[0]), _paired(own[1], other[1])
    print(f"\n{title}: {len(answers)} places")
    for measure in MEASURES:
        a, b = parts(answers, measure), parts(others, measure)
        print(f"  {measure:34} {difference(a, b)}   ratio {quotient(a, b)}")
    if typed:
        own_keys, other_keys = keys_saved(typed), keys_saved(others_typed)
        _print_pair(f"keys saved, {len(typed)} lines typed", own_keys, other_keys)
    cross = [(a, b) for a, b in zip(answers, others, strict=True) if a.is_cross_file]
    exact = next(iter(MEASURES))
    a, b = (parts([pair[side] for pair in cross], exact) for side in (0, 1))
    _print_pair(f"exact, {len(cross)} with names of other files", a, b)


def print_answers(answers: Sequence[Answer], n: int) -> None:
    """Some of those that are right, and some of those that are not."""
    _print_some("Right", [each for each in answers if is_exact(each)], n)
    wrong = [each for each in answers if each.shown is not None and not is_shown_right(each)]
    _print_some("Shown and wrong", wrong, n)


def print_examples(own: Sequence[Answer], other: Sequence[Answer], n: int) -> None:
    """Where only one of two is right, and what both said."""
    pairs = list(zip(*_paired(own, other), strict=True))
    said = {b.place: b.said for _, b in pairs}
    _print_some("Won", [a for a, b in pairs if is_exact(a) and not is_exact(b)], n, said)
    _print_some("Lost", [a for a, b in pairs if is_exact(b) and not is_exact(a)], n, said)


def _print_some(
    title: str, answers: Sequence[Answer], n: int, others: Mapping[str, str] | None = None
) -> None:
    print(f"\n{title}: {len(answers)}")
    for each in answers[:n]:
        print(f"  {each.place} ({each.kind})")
        texts = {"wanted": each.rest, "said": each.said, "shown": each.shown}
        if others:
            texts["other"] = others[each.place]
        for name, text in texts.items():
            print(f"    {name:7} {_short(text)}")


def save(path: Path, runs: Mapping[str, tuple[Sequence[Answer], Sequence[Typed]]]) -> None:
    """One answer a line, by context, for a later comparison."""
    with path.open("w", encoding="utf-8") as stream:
        for context, (answers, typed) in runs.items():
            for kind, entries in (("answer", answers), ("typed", typed)):
                for entry in entries:
                    stream.write(json.dumps([context, kind, asdict(entry)]) + "\n")


def load(path: Path) -> dict[str, tuple[list[Answer], list[Typed]]]:
    """What `save` wrote."""
    runs: dict[str, tuple[list[Answer], list[Typed]]] = {}
    for line in path.read_text("utf-8").splitlines():
        context, kind, entry = json.loads(line)
        answers, typed = runs.setdefault(context, ([], []))
        if kind == "answer":
            answers.append(Answer(**entry))
        else:
            typed.append(Typed(**entry))
    return runs


def _print_pair(measure: str, own: Sequence[Part], other: Sequence[Part]) -> None:
    print(f"  {measure:34} {difference(own, other)}   ratio {quotient(own, other)}")


def _paired(own: Sequence[_Entry], other: Sequence[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
    by_place = {each.place: each for each in other}
    shared = [each for each in own if each.place in by_place]
    return shared, [by_place[each.place] for each in shared]


def _short(text: str | None) -> str:
    if text is None:
        return "-"
    return repr(text if len(text) <= _EXAMPLE_CHARS else text[:_EXAMPLE_CHARS] + "…")
