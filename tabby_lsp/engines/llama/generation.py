"""One answer, token by token, on the worker's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import Piece, Timings
from tabby_lsp.engines.llama.binding import Aborted
from tabby_lsp.engines.llama.kv import n_reusable
from tabby_lsp.engines.llama.layout import render
from tabby_lsp.engines.llama.sampling import choose
from tabby_lsp.engines.llama.text import TextStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabby_lsp.domain import GenerationRequest
    from tabby_lsp.engines.llama.binding import Context, Model
    from tabby_lsp.models.families import Fim


@dataclass(slots=True)
class Loaded:
    """A model that is ready, and what its context has done so far."""

    model: Model
    context: Context
    tokenize: Callable[[str], list[int]]
    fim: Fim
    end_tokens: tuple[int, ...]
    n_evaluated_total: int = 0  # prompt tokens only
    n_generated_total: int = 0


def generate(loaded: Loaded, request: GenerationRequest, queue_ms: float) -> Iterator[Piece]:
    """Read the prompt as far as it is new, then yield the answer until a rule or the model ends it.

    Ends early, with what was finished kept in the context, when the abort flag is set.
    """
    started_s = time.perf_counter()
    n_room = loaded.context.n_ctx - request.max_tokens
    prompt = render(request.segments, loaded.fim, loaded.tokenize, n_room)
    n_reused = n_reusable(loaded.context.tokens, prompt)
    loaded.context.keep(n_reused)
    n_reused = len(loaded.context.tokens)
    try:
        loaded.context.evaluate(prompt[n_reused:])
    except Aborted:
        return
    finally:
        loaded.n_evaluated_total += len(loaded.context.tokens) - n_reused
    prefilled_s = time.perf_counter()
    timings = Timings(
        n_prompt_tokens=len(prompt),
        n_reused_tokens=n_reused,
        n_evaluated_tokens=len(prompt) - n_reused,
        queue_ms=queue_ms,
        prefill_ms=(prefilled_s - started_s) * 1000,
    )
    yield Piece("", 0.0, timings)
    yield from _decode(loaded, request, timings, prefilled_s)


def _decode(
    loaded: Loaded, request: GenerationRequest, timings: Timings, prefilled_s: float
) -> Iterator[Piece]:
    stream = TextStream(request.stop)
    logprob = 0.0
    for n_generated in range(1, request.max_tokens + 1):
        choice = choose(loaded.context.logits(), loaded.end_tokens)
        if choice.token is None:
            break
        loaded.n_generated_total += 1
        logprob += choice.logprob
        text = stream.push(loaded.model.piece(choice.token))
        timings = replace(
            timings,
            n_generated_tokens=n_generated,
            decode_ms=(time.perf_counter() - prefilled_s) * 1000,
        )
        if text:
            yield Piece(text, logprob, timings)
            logprob = 0.0
        if stream.is_stopped:
            break
        try:
            loaded.context.evaluate([choice.token])
        except Aborted:
            return
    yield Piece(stream.finish(), logprob, timings)
