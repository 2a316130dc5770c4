"""What a model is good for: completing code, chatting, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tabby_lsp.models.catalog import entry_of
from tabby_lsp.models.cursor import ModelFileError
from tabby_lsp.models.families import NotForCompletion, fim_of

if TYPE_CHECKING:
    from tabby_lsp.models.gguf import Header

Use = Literal["completion", "chat"]

_TEMPLATE = "tokenizer.chat_template"


class NotForChat(ModelFileError):
    """The model's file has no chat template."""


def template_of(header: Header) -> str:
    """The chat template in a model's file; raises NotForChat where there is none."""
    template = header.text(_TEMPLATE)
    if not template:
        raise NotForChat(
            f"{header.path} ({header.name}) is not for chat: it has no chat template; "
            "`tabby-lsp models list` shows models that have one"
        )
    return template


def use_of(name: str, header: Header) -> Use:
    """What to take a model for where nobody says: the catalogue's word, else the file's.

    Many models that complete have a chat template as well, and few that chat can complete, so one
    that can do both is for completing. Raises NotForCompletion for one that can do neither.
    """
    entry = entry_of(name)
    if entry is not None and entry.role == "chat":
        template_of(header)
        return "chat"
    try:
        fim_of(header)
    except NotForCompletion as error:
        if header.text(_TEMPLATE):
            return "chat"
        raise NotForCompletion(
            f"{error}; nor is it for chat, since it has no chat template"
        ) from None
    return "completion"
