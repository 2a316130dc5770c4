"""Servers with OpenAI's `/v1/completions`: vLLM, llama-cpp-python, LM Studio, hosted ones.

Without a family the server gets prefix and `suffix` and puts its own control tokens between them;
with one it gets the whole prompt as text.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tabby_lsp.domain import Timings
from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.connection import DONE
from tabby_lsp.engines.remote.dialect import (
    Said,
    count_at,
    dig,
    finish_of,
    max_bytes,
    text_at,
    texts_at,
)
from tabby_lsp.engines.remote.logprobs import columns_at
from tabby_lsp.engines.remote.sampling import openai_fill_words, vllm_fill_words
from tabby_lsp.engines.remote.text_prompt import (
    DEFAULT_N_CTX,
    render_halves,
    render_text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import GenerationRequest
    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.engines.remote.dialect import Target

# As these servers sign their lists of models.
LLAMA_SERVER, VLLM = "llamacpp", "vllm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """What a server's list says of the model that is asked."""

    model: str
    n_ctx: int
    owner: str  # which server it is, where it says so


async def find_model(target: Target, deadline: Deadline) -> ListedModel:
    """The model of the settings, or the only one that the server has; raises Fault."""
    listing = await _listing(target, deadline)
    names = texts_at(listing, "id", "data")
    if not target.model and len(names) != 1:
        raise faults.no_model(target.connection.place, "", names)
    model = target.model or names[0]
    place = names.index(model) if model in names else 0
    # vLLM's word for it; others do not say.
    n_ctx = count_at(listing, "data", place, "max_model_len") if model in names else 0
    return ListedModel(
        model=model,
        n_ctx=target.n_ctx or n_ctx or DEFAULT_N_CTX,
        owner=text_at(listing, "data", place, "owned_by"),
    )


async def _listing(target: Target, deadline: Deadline) -> object:
    """The server's models; None where it has no such list and the settings name the model."""
    try:
        return await target.connection.fetch("GET", "/models", None, deadline)
    except faults.Fault as fault:
        if fault.kind == "place" and target.model:
            return None
        raise


class OpenAIDialect:
    """Knows the server's model after it has greeted."""

    load_timeout_s = 0.0

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection = target.connection
        self._family = target.family
        self._model = target.model
        self._n_ctx = target.n_ctx or DEFAULT_N_CTX
        self._owner = ""

    async def greet(self, deadline: Deadline) -> str:
        listed = await find_model(self._target, deadline)
        if self._family is None and listed.owner == LLAMA_SERVER:
            # It takes `suffix` without a word and leaves it out.
            place = self._connection.place
            raise faults.Fault(
                "suffix",
                f"{place.url} is a llama-server, whose `/v1` leaves the suffix out: set `kind` of"
                f' {place.table} to "llama-server".',
            )
        self._model, self._n_ctx, self._owner = listed.model, listed.n_ctx, listed.owner
        return self._model

    async def ask(
        self, request: GenerationRequest, deadline: Deadline
    ) -> AsyncGenerator[Said, None]:
        events = self._connection.events(
            "POST",
            "/completions",
            self._body(request),
            deadline,
            max_bytes(request.max_tokens, request.sampling.n_logprobs),
            model=self._model,
        )
        is_finished = has_text = False
        async with aclosing(events):
            async for event in events:
                if event == DONE:
                    is_finished = True
                    break
                if dig(event, "choices") is None:
                    raise faults.strange(self._connection.place, "no `choices`")
                has_text = has_text or isinstance(dig(event, "choices", 0, "text"), str)
                finish = finish_of(dig(event, "choices", 0, "finish_reason"))
                is_finished = is_finished or finish != ""
                text = text_at(event, "choices", 0, "text")
                told = columns_at(event, "choices", 0, "logprobs")
                yield Said(text, usage_timings(event), finish=finish, logprobs=told)
        if not is_finished:
            raise faults.broken(self._connection.place)
        if not has_text:
            raise faults.strange(self._connection.place, "no `text`")

    def _body(self, request: GenerationRequest) -> dict[str, object]:
        n_room = max(0, self._n_ctx - request.max_tokens)
        words = vllm_fill_words if self._owner == VLLM else openai_fill_words
        body: dict[str, object] = {
            "model": self._model,
            "max_tokens": request.max_tokens,
            "stream": True,
            **words(request),
        }
        if self._family is None:
            halves = render_halves(request.segments, n_room)
            return body | {"prompt": halves.prefix, "suffix": halves.suffix}
        prompt = render_text(request.segments, self._family, n_room)
        # Otherwise vLLM leaves out the control token with which a model ends the file, and goes on
        # with the next file that the model makes up.
        return body | {"prompt": prompt, "skip_special_tokens": False}


def base_url(url: str) -> str:
    """An address as OpenAI's clients take it: where it has no path, `/v1` is meant."""
    return url if urlsplit(url).path.strip("/") else f"{url}/v1"


def usage_timings(event: object) -> Timings:
    """What the last event says of tokens; most servers say it nowhere."""
    n_prompt = count_at(event, "usage", "prompt_tokens")
    n_reused = count_at(event, "usage", "prompt_tokens_details", "cached_tokens")
    n_reused = min(n_reused, n_prompt)
    return Timings(
        n_prompt_tokens=n_prompt,
        n_reused_tokens=n_reused,
        n_evaluated_tokens=n_prompt - n_reused,
        n_generated_tokens=count_at(event, "usage", "completion_tokens"),
    )
