"""llama.cpp's own server: prompts token by token where the family is known, else `/infill`.

Invariant: the user's text becomes tokens with `parse_special` off, or stands in the fields of
`/infill` that the server reads so; no file can write a control token.
"""

from __future__ import annotations

import os
from contextlib import aclosing
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from tabby_lsp.domain import Timings
from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.dialect import (
    Said,
    count_at,
    dig,
    max_bytes,
    number_at,
    text_at,
)
from tabby_lsp.engines.remote.logprobs import tokens_at
from tabby_lsp.engines.remote.sampling import llama_server_fill_words
from tabby_lsp.engines.remote.text_prompt import DEFAULT_N_CTX, Halves, cut, without_controls
from tabby_lsp.engines.remote.token_prompt import RemoteTokenizer
from tabby_lsp.models.families import family_of_tokens, fim_of_family, needed_tokens
from tabby_lsp.models.fim_table import FAMILIES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import Finish, GenerationRequest, Segments
    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.engines.remote.dialect import Target
    from tabby_lsp.models.families import Fim

URL = "http://127.0.0.1:8080"
# In dense code; with the settings' defaults it cuts nothing from a context of 4096 on.
_FEW_CHARS_PER_TOKEN = 2


class LlamaServerDialect:
    """Knows the model's tokens and its own slot after it has greeted."""

    load_timeout_s = 0.0

    def __init__(self, target: Target) -> None:
        self._connection = target.connection
        self._model = target.model
        self._families = target.families
        self._n_ctx = DEFAULT_N_CTX
        self._slot = 0
        self._fim: Fim | None = None
        self._tokenizer = RemoteTokenizer(target.connection, target.model)

    async def greet(self, deadline: Deadline) -> str:
        props = await self._connection.fetch("GET", "/props", None, deadline)
        self._n_ctx = n_ctx_of(props)
        # A slot of our own: with the server's choice, a request that comes before the one that it
        # replaces has let go of its slot would go to another one and read everything again.
        self._slot = os.getpid() % max(1, count_at(props, "total_slots"))
        vocabulary = await self._vocabulary(deadline)
        self._tokenizer = RemoteTokenizer(self._connection, self._model, vocabulary)
        self._fim = await self._find_fim(deadline)
        return self._model or model_name(props) or "llama-server"

    async def ask(
        self, request: GenerationRequest, deadline: Deadline
    ) -> AsyncGenerator[Said, None]:
        if self._fim is None:
            path, body = "/infill", self._infill_body(request)
        else:
            n_room = max(0, self._n_ctx - request.max_tokens)
            prompt = await self._tokenizer.render(request.segments, self._fim, n_room, deadline)
            path, body = "/completion", {"prompt": prompt}
        body |= self._common(request)
        limit = max_bytes(request.max_tokens, request.sampling.n_logprobs)
        events = self._connection.events("POST", path, body, deadline, limit, model=self._model)
        ends = self._fim.end_tokens if self._fim else frozenset()
        is_finished = False
        async with aclosing(events):
            async for event in events:
                if "content" not in (event if isinstance(event, dict) else {}):
                    raise faults.strange(self._connection.place, "no `content`")
                tokens = dig(event, "tokens")
                if isinstance(tokens, list) and any(_is_end(token, ends) for token in tokens):
                    yield Said("", timings_of(event))
                    return
                text = "" if is_finished else text_at(event, "content")
                is_finished = is_finished or dig(event, "stop") is True
                told = tokens_at(event, "completion_probabilities")
                yield Said(text, timings_of(event), finish=_finish(event), logprobs=told)
        if not is_finished:
            raise faults.broken(self._connection.place)

    def _common(self, request: GenerationRequest) -> dict[str, object]:
        body: dict[str, object] = {
            "n_predict": request.max_tokens,
            "stream": True,
            "cache_prompt": True,
            "id_slot": self._slot,
            "timings_per_token": True,
            "return_tokens": True,
        }
        if self._model:
            body["model"] = self._model
        return body | llama_server_fill_words(request)

    def _infill_body(self, request: GenerationRequest) -> dict[str, object]:
        """The line so far goes apart from what stands above it, as llama.vim sends it.

        The server slides a long prefix by tokens, so that whatever grows at its end makes it read
        everything again. It does read control tokens in `prompt`, though, and in no other field.
        """
        segments = _unix(request.segments)
        # The server cuts at the size of its batch, which may be more than its context.
        max_chars = max(0, self._n_ctx - request.max_tokens) * _FEW_CHARS_PER_TOKEN
        halves = cut(Halves(segments.prefix, segments.suffix), max_chars)
        line_start = halves.prefix.rfind("\n") + 1
        above, line = halves.prefix[:line_start], halves.prefix[line_start:]
        if without_controls(line, None) != line:
            above, line = halves.prefix, ""
        return {
            "input_prefix": above,
            "prompt": line,
            "input_suffix": halves.suffix,
            "input_extra": [{"filename": s.path, "text": s.text} for s in segments.snippets],
        }

    async def _vocabulary(self, deadline: Deadline) -> int:
        """Which kind the model has, by llama.cpp's number; 0 where the server does not say."""
        try:
            listing = await self._connection.fetch("GET", "/v1/models", None, deadline)
        except faults.Fault as fault:
            if fault.kind != "place":
                raise
            return 0
        return count_at(listing, "data", 0, "meta", "vocab_type")

    async def _find_fim(self, deadline: Deadline) -> Fim | None:
        """How to ask the model token by token; None where `/infill` knows it better."""
        rows = self._families or FAMILIES
        texts = sorted({token for row in rows for token in row.tokens})
        ids = await self._tokenizer.control_ids(texts, deadline)
        if self._families:
            family = next(
                (row for row in rows if all(token in ids for token in needed_tokens(row))), None
            )
            if family is None:
                lacks = next(token for token in needed_tokens(rows[0]) if token not in ids)
                raise faults.Fault(
                    "model",
                    f"The model of {self._connection.place.url} has no {lacks}, so it is"
                    f" not of the family {rows[0].name}: correct `family` of"
                    f" {self._connection.place.table}, or leave it out.",
                )
        else:
            family = family_of_tokens(ids)
        if family is None:
            return None
        return fim_of_family(family, ids, bos=await self._tokenizer.bos(deadline))


def _finish(event: object) -> Finish:
    """Old versions have a word for each way to end."""
    if dig(event, "stop") is not True:
        return ""
    is_limit = text_at(event, "stop_type") == "limit" or dig(event, "stopped_limit") is True
    return "length" if is_limit else "stop"


def model_name(props: object) -> str:
    """What `/props` calls the model, without the folders where the server has it; "" for none."""
    alias, path = text_at(props, "model_alias"), text_at(props, "model_path")
    return alias if alias and not alias.endswith(".gguf") else PurePath(alias or path).name


def n_ctx_of(props: object) -> int:
    """How many tokens one of the server's slots holds."""
    return count_at(props, "default_generation_settings", "n_ctx") or DEFAULT_N_CTX


def _unix(segments: Segments) -> Segments:
    def unix(text: str) -> str:
        return text.replace("\r\n", "\n").replace("\r", "\n")

    snippets = tuple(replace(each, text=unix(each.text)) for each in segments.snippets)
    return replace(
        segments, prefix=unix(segments.prefix), suffix=unix(segments.suffix), snippets=snippets
    )


def _is_end(token: object, ends: frozenset[int]) -> bool:
    return isinstance(token, int) and token in ends


def timings_of(event: object) -> Timings:
    n_reused = count_at(event, "timings", "cache_n")
    n_evaluated = count_at(event, "timings", "prompt_n")
    return Timings(
        n_prompt_tokens=n_reused + n_evaluated,
        n_reused_tokens=n_reused,
        n_evaluated_tokens=n_evaluated,
        n_generated_tokens=count_at(event, "timings", "predicted_n"),
        n_drafted_tokens=count_at(event, "timings", "draft_n"),
        n_accepted_tokens=count_at(event, "timings", "draft_n_accepted"),
        prefill_ms=number_at(event, "timings", "prompt_ms"),
        decode_ms=number_at(event, "timings", "predicted_ms"),
    )
