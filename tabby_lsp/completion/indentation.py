"""Speaks to a model in the indentation that it was trained on, whatever the document has.

Small models know Python in steps of four blanks; in a document with tabs or steps of two they write
nothing, or something in the wrong column.

Invariant: what is translated there is translated back; a text without indentation stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

MODEL_STEP = "    "

_INDENTED = re.compile(r"^([ \t]+)(?=\S)", re.MULTILINE)
_LEADING = re.compile(r"^[ \t]+", re.MULTILINE)
_FEW_LINES = 3


def step_of(text: str) -> str:
    """One level of indentation in a document: a tab, or some blanks; four where it does not say."""
    indents = _INDENTED.findall(text)
    if sum("\t" in indent for indent in indents) * 2 > len(indents):
        return "\t"
    widths = [len(indent) for indent in indents if "\t" not in indent]
    deeper = Counter(b - a for a, b in pairwise([0, *widths]) if b > a)
    n_twos = deeper[2]
    is_of_twos = n_twos >= _FEW_LINES and n_twos > deeper[4] and any(w % 4 for w in widths)
    return "  " if is_of_twos else MODEL_STEP


def for_model(text: str, step: str) -> str:
    """A document's text in the model's indentation."""
    if step == MODEL_STEP:
        return text
    return _relevelled(text, step, MODEL_STEP)


def from_model(text: str, step: str, *, begins_line: bool) -> str:
    """What a model said in the document's indentation.

    `begins_line` says whether its first line continues an indentation. A last line of nothing but
    blanks is left out: more of them may come.
    """
    if step == MODEL_STEP:
        return text
    first, line_end, others = text.partition("\n")
    if begins_line:
        first = _relevelled(first, MODEL_STEP, step)
    kept, last_end, last = others.rpartition("\n")
    if last.strip():
        kept, last_end, last = others, "", ""
    return first + line_end + _relevelled(kept + last_end, MODEL_STEP, step)


def _relevelled(text: str, old: str, new: str) -> str:
    return _LEADING.sub(lambda found: _translated(found[0], old, new), text)


def _translated(indent: str, old: str, new: str) -> str:
    n_levels, rest = 0, indent
    while rest.startswith(old):
        n_levels, rest = n_levels + 1, rest[len(old) :]
    return n_levels * new + rest
