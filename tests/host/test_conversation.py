"""What a window asks arrives, however long it is; what is too long is said, and nothing breaks."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.domain import TooLong
from tabby_lsp.host.conversation import Conversation
from tabby_lsp.host.frames import MAX_FRAME_BYTES, Broken, framed, read_frame, write_frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets of Unix")


def talk(folder: Path, story: Callable[[Conversation], Awaitable[None]]) -> None:
    """With a host that answers each question with the length of its text."""

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await read_frame(reader)
                if "text" in asked:
                    write_frame(writer, framed({"id": asked["id"], "n": len(asked["text"])}))
                    write_frame(writer, framed({"id": asked["id"], "end": True}))
        except Broken:
            writer.close()

    async def both() -> None:
        path = str(folder / "socket")
        async with asyncio.timeout(60), await asyncio.start_unix_server(host, path):
            connection = await asyncio.open_unix_connection(path)
            conversation = Conversation(*connection, os.getpid(), is_proved=False)
            await story(conversation)
            await conversation.close()

    asyncio.run(both())


async def answer(conversation: Conversation, text: str) -> int:
    async with aclosing(conversation.ask({"text": text})) as replies:
        (n,) = [reply["n"] async for reply in replies if "n" in reply]
    assert isinstance(n, int)
    return n


@pytest.mark.parametrize("text", ["x" * 5_000_000, "\u6f22" * 2_000_000])
def test_a_long_question_arrives_and_those_behind_it(tmp_path: Path, text: str) -> None:
    async def story(conversation: Conversation) -> None:
        questions = [text, "short", text, "short"]
        answers = await asyncio.gather(*(answer(conversation, each) for each in questions))
        assert answers == [len(each) for each in questions]

    talk(tmp_path, story)


def test_what_is_too_long_is_said_and_the_conversation_goes_on(tmp_path: Path) -> None:
    async def story(conversation: Conversation) -> None:
        with pytest.raises(TooLong, match="16 MB"):
            await answer(conversation, "x" * MAX_FRAME_BYTES)
        assert await answer(conversation, "short") == 5
        assert conversation.is_open

    talk(tmp_path, story)
