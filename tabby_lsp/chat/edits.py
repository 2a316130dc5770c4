"""From a chat model's answer to the text that takes the place of the selected code.

Invariant: what comes out is indented as the code was that it replaces, and begins and ends as that
did; an answer that is no code, or not all of it, is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# A fence and what stands in it; one that is not closed goes to the end.
_FENCED = re.compile(
    r"^[ ]{0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)(?:^[ ]{0,3}(?P=fence)`*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
# A form feed before a definition is no indentation, and no blank line.
_INDENT = re.compile(r"^[ \t]*(?=[^ \t\n])", re.MULTILINE)
_BLANK_LINES = re.compile(r"(?:[ \t]*\n)*")
_BLANK_BEGINNING = re.compile(r"(?:[ \t]*[\r\n])*")
_LINE_END = re.compile(r"\r\n|\r|\n")


class NoEdit(Exception):
    """The answer cannot be put into the document; the text is a sentence with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is to be replaced, and how its line begins."""

    text: str
    line_start: str  # what stands left of it on its first line
    line_end: str  # how the document ends its lines


def replacement(answer: str, selection: Selection) -> str:
    """The text to put in the place of the selection; raises NoEdit."""
    code = _fitted(code_in(answer), selection)
    if code == selection.text:
        raise NoEdit("The model would change nothing.")
    return code


def addition(answer: str, selection: Selection) -> str:
    """The selection with what the model wrote below it; raises NoEdit."""
    kept, tail = _split_tail(selection.text)
    indent = "" if selection.line_start.strip() else selection.line_start
    below = _fitted(code_in(answer), selection).rstrip()
    # Its first line stays as deep as the others.
    below = _BLANK_BEGINNING.sub("", below, count=1)
    return f"{kept}{selection.line_end * 3}{indent}{below}{tail}"


def code_in(answer: str) -> str:
    """The code of an answer: the longest fenced block, or all of it where there is none.

    Raises NoEdit where there is nothing.
    """
    blocks = [found["code"] for found in _FENCED.finditer(answer)]
    code = max(blocks, key=len) if blocks else answer
    if not code.strip():
        raise NoEdit("The model answered with no code.")
    return _LINE_END.sub("\n", code)


def _fitted(code: str, selection: Selection) -> str:
    """The code as deep as the selection, with the blank lines that it begins and ends with."""
    old = _LINE_END.sub("\n", selection.text)
    if selection.line_start.strip():  # It begins in the middle of a line.
        code = code.strip()
    else:
        code = _indented(code.strip("\n"), selection.line_start + old)
        code = code.removeprefix(selection.line_start)
    head = _BLANK_LINES.match(old)
    code = (head[0] if head else "") + code.rstrip() + _split_tail(old)[1]
    return code.replace("\n", selection.line_end)


def _split_tail(text: str) -> tuple[str, str]:
    """The text and the blanks and line ends behind it."""
    kept = text.rstrip(" \t\r\n")
    return kept, text[len(kept) :]


def _indented(code: str, like: str) -> str:
    """The code as deep as `like` is, and with tabs where that has tabs."""
    wanted = _common_indent(like)
    if re.search(r"^\t", like, re.MULTILINE):
        code = _with_tabs(code)
    had = re.escape(_common_indent(code))
    return re.sub(rf"^{had}(?=[^\n]*\S)", lambda _: wanted, code, flags=re.MULTILINE)


def _common_indent(text: str) -> str:
    indents = _INDENT.findall(text)
    return min(indents, key=len) if indents else ""


def _with_tabs(code: str) -> str:
    """Steps of blanks as tabs, where the code has no tabs itself."""
    indents = [indent for indent in _INDENT.findall(code) if indent]
    if not indents or any("\t" in indent for indent in indents):
        return code
    step = min(len(indent) for indent in indents)
    return re.sub(r"^ +", lambda found: "\t" * (len(found[0]) // step), code, flags=re.MULTILINE)
