"""`tabby-lsp chat`: one question, or a conversation, in the terminal."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from tabby_lsp.app import App, build
from tabby_lsp.chat.prompts import fenced
from tabby_lsp.completion.discretion import without_secrets
from tabby_lsp.domain import ChatMessage, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.config import Settings

_FAILED, _WRONG_CALL, _INTERRUPTED = 1, 2, 130
_HELP = "Ask something; Ctrl-C stops an answer, Ctrl-D ends the conversation."


def chat(question: str, settings: Settings) -> int:
    """Answer the question, or hold a conversation where there is none; the exit status.

    What is piped in is what the question is about, or the question where there is no other.
    """
    try:
        given = _piped_in()
    except KeyboardInterrupt:
        return _INTERRUPTED
    if not question.strip():
        question, given = given.strip(), ""
    is_one_question = bool(question)
    if not is_one_question and not (sys.stdin and sys.stdin.isatty()):
        sys.stderr.write("tabby-lsp chat: nothing was asked: give a question, or a terminal.\n")
        return _WRONG_CALL
    app = build(settings)
    with asyncio.Runner() as runner:
        try:
            messages: list[ChatMessage] = []
            for asked in [question] if is_one_question else _typed():
                attachments = (f"Given:\n{fenced(without_secrets(given))}",) if given else ()
                messages.append(ChatMessage("user", asked, attachments))
                try:
                    answer = runner.run(_answer(app, messages))
                except KeyboardInterrupt:
                    sys.stdout.write("\n")
                    if is_one_question:
                        return _INTERRUPTED
                    del messages[-1]
                except EngineError as error:
                    sys.stderr.write(f"tabby-lsp chat: {error}\n")
                    if is_one_question:
                        return _FAILED
                    # What was said before stays, and may be asked on.
                    del messages[-1]
                else:
                    messages.append(ChatMessage("assistant", answer))
        finally:
            runner.run(app.close())
    return 0


def _piped_in() -> str:
    """What another program writes to us, in whatever encoding; "" at a terminal."""
    # Standard input is None where nobody gave us one.
    if not sys.stdin or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8", "replace").replace("\r\n", "\n")


async def _answer(app: App, messages: list[ChatMessage]) -> str:
    """Writes the answer as it comes."""
    engine = app.chat_engine
    if engine.status.state == "unloaded" and sys.stderr.isatty():
        sys.stderr.write(f"loading {engine.status.model} ...\n")
    answer = await app.talk().answer(messages, None, _write)
    _write("\n" if answer.is_whole else "\n[cut off at chat.max_tokens]\n")
    return answer.text


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _typed() -> Iterator[str]:
    """The questions that somebody types, until the end of the input."""
    with suppress(ImportError):  # Windows' own line editing does without it.
        import readline  # noqa: F401 - gives `input` its line editing
    sys.stderr.write(f"{_HELP}\n")
    while True:
        try:
            question = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            sys.stdout.write("\n")
            return
        if question:
            yield question
