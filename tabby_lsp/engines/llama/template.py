"""The chat template of a model, as what it puts round the messages of a conversation.

The template is asked once, with marks in the place of the messages, for every shape of conversation
that there may be. So it never sees what anybody said, what was said can be told from its own
control tokens, and no template runs while somebody waits.

Invariant: the template runs in a process of its own, which is ended when it takes too long.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.domain import ChatMessage, EngineError
from tabby_lsp.models.roles import template_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabby_lsp.engines.history import Conversation
    from tabby_lsp.models.gguf import Header

    Tokenize = Callable[[str], list[int]]

# Questions of the user; a longer conversation is cropped in its middle, as one is that does not
# fit.
MAX_QUESTIONS = 24
_TIMEOUT_S = 10.0  # most of it for a machine that is busy: rendering takes milliseconds
_CHILD = Path(__file__).with_name("template_child.py")

# A tab on both sides shows whether the template strips what is said. No template knows these.
_MARK = "\t\x02{}\x03\t"
_MARKS = re.compile(r"(\t?)\x02(\d+)\x03(\t?)")

_CONTROL = re.compile(r"\s*(<[^<>\n]{1,64}>|\[[^\[\]\n]{1,32}\])")

Shape = tuple[bool, int]  # whether the system speaks, and how often the user


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands round the messages of one shape of conversation."""

    literals: tuple[str, ...]  # before, between and behind the messages; one more than these
    strips: bool  # whether blanks at both ends of what is said are left out


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """How one model wants to be talked to."""

    frames: Mapping[Shape, Frame]

    @property
    def end(self) -> str:
        """The control text that ends a message of the assistant's; "" where there is none."""
        for (has_system, n_questions), frame in self.frames.items():
            if n_questions > 1:
                found = _CONTROL.match(frame.literals[(1 if has_system else 0) + 2])
                return found[1] if found else ""
        return ""

    def knows(self, messages: Conversation) -> bool:
        """Whether it can spell a conversation in turns, of which the assistant has the next."""
        if messages[-1].role != "user":
            return False
        return _shape(messages) in self.frames or _shape(_without_system(messages)) in self.frames

    def spell(
        self,
        messages: Conversation,
        controls: Callable[[str], list[int]],
        plain: Callable[[str], list[int]],
    ) -> list[int]:
        """The token ids of a conversation that it knows, up to where the assistant begins.

        `controls` tokenizes the template's own text, `plain` what was said.
        """
        if _shape(messages) not in self.frames:
            messages = _without_system(messages)
        frame = self.frames[_shape(messages)]
        tokens = controls(frame.literals[0])
        for message, literal in zip(messages, frame.literals[1:], strict=True):
            content = message.content.strip() if frame.strips else message.content
            tokens += [*plain(content), *controls(literal)]
        return tokens


def learn(header: Header, bos: str, eos: str) -> ChatTemplate:
    """Ask the template for every shape; takes a fraction of a second.

    `bos` and `eos` are the texts of the model's tokens. Raises EngineError where it cannot be used.
    """
    shapes = [(s, n) for s in (True, False) for n in range(1, MAX_QUESTIONS + 1)]
    asked = {
        "template": template_of(header),
        "bos": bos,
        "eos": eos,
        "conversations": [_marked(shape) for shape in shapes],
    }
    frames = {
        shape: frame
        for shape, text in zip(shapes, _rendered(header, asked), strict=True)
        if text is not None and (frame := _frame(text, shape)) is not None
    }
    if (False, 1) not in frames and (True, 1) not in frames:
        raise _unusable(header, "it does not take a question")
    return ChatTemplate(frames)


def _marked(shape: Shape) -> list[dict[str, str]]:
    has_system, n_questions = shape
    roles = ["system"] * has_system + ["user", "assistant"] * n_questions
    return [{"role": role, "content": _MARK.format(n)} for n, role in enumerate(roles[:-1])]


def _rendered(header: Header, asked: object) -> list[str | None]:
    try:
        done = subprocess.run(
            # Without its own folder among the modules, where names like `text` would hide others.
            [sys.executable, "-P", str(_CHILD)],
            input=json.dumps(asked),
            capture_output=True,
            encoding="utf-8",
            timeout=_TIMEOUT_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        raise _unusable(header, "it takes too long") from None
    except OSError as error:
        raise _unusable(header, f"no process can be started for it: {error}") from error
    if done.returncode != 0:
        last_words = done.stderr.strip().rpartition("\n")[2][:200]
        raise _unusable(header, last_words or "it takes too long, or too much memory")
    rendered: list[str | None] = json.loads(done.stdout)
    return rendered


def _frame(text: str, shape: Shape) -> Frame | None:
    """None where a message is missing, stands twice or elsewhere: it could not be told what was."""
    pieces = _MARKS.split(text)
    literals, places = pieces[::4], [int(place) for place in pieces[2::4]]
    if places != list(range(len(_marked(shape)))):
        return None
    return Frame(tuple(literals), strips=not all(pieces[1::4] + pieces[3::4]))


def _shape(messages: Conversation) -> Shape:
    has_system = messages[0].role == "system"
    return has_system, sum(message.role == "user" for message in messages)


def _without_system(messages: Conversation) -> Conversation:
    """What the system says, said by the user, since not every template knows a system."""
    if messages[0].role != "system":
        return messages
    system, first, *rest = messages
    return (ChatMessage("user", f"{system.content}\n\n{first.content}"), *rest)


def _unusable(header: Header, why: str) -> EngineError:
    return EngineError(
        f"The chat template of {header.path} cannot be used ({why}): get another GGUF of the model."
    )
