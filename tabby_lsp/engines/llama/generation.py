"""One answer, token by token, on the worker's thread."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import Piece, Timings
from tabby_lsp.engines.llama.binding import Aborted
from tabby_lsp.engines.llama.kv import n_reusable
from tabby_lsp.engines.llama.layout import render
from tabby_lsp.engines.llama.sampling import choose
from tabby_lsp.engines.llama.text import TextStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.domain import GenerationRequest
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.models.families import Fim


def generate(loaded: Loaded, fim: Fim, request: GenerationRequest) -> Iterator[Piece]:
    """Read the prompt as far as it is new, then yield the answer until a rule or the model ends it.

    Ends early, with what was finished kept in the context, when the abort flag is set.
    """
    started_s = time.perf_counter()
    n_room = loaded.context.n_ctx - request.max_tokens
    prompt = render(request.segments, fim, loaded.tokenize, n_room)
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
        prefill_ms=(prefilled_s - started_s) * 1000,
    )
    yield Piece("", 0.0, timings)
    end_tokens = tuple({*loaded.model.eog_tokens, *fim.end_tokens})
    yield from _decode(loaded, end_tokens, request, timings, prefilled_s)


def _decode(
    loaded: Loaded,
    end_tokens: tuple[int, ...],
    request: GenerationRequest,
    timings: Timings,
    prefilled_s: float,
) -> Iterator[Piece]:
    stream = TextStream(request.stop)
    logprob = 0.0
    for n_generated in range(1, request.max_tokens + 1):
        choice = choose(loaded.context.logits(), end_tokens)
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
