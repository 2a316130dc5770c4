"""From a request to an answer: code in the middle, and text as it is."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tabby_lsp.engines.llama.answering import Question, answer, n_prompt_room
from tabby_lsp.engines.llama.context import Aborted
from tabby_lsp.engines.llama.drawing import Sampler
from tabby_lsp.engines.llama.healing import Healing
from tabby_lsp.engines.llama.layout import tail
from tabby_lsp.engines.llama.sampling import choose, runners_up, takes_the_likeliest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from tabby_lsp.domain import GenerationRequest, Piece, Sampling, TextRequest
    from tabby_lsp.engines.llama.answering import Read
    from tabby_lsp.engines.llama.binding import Model
    from tabby_lsp.engines.llama.desk import Desk, Prompt
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.sampling import Choice, Choose
    from tabby_lsp.models.families import Fim


# Those of a block, as the settings have it by default.
_USUAL_ANSWER_TOKENS = 96


def generate(loaded: Loaded, fim: Fim, desk: Desk, request: GenerationRequest) -> Iterator[Piece]:
    """What belongs between prefix and suffix.

    Raises EngineError where the request's sampling cannot be used.
    """
    asked_s = time.perf_counter()
    sampling, model = request.sampling, loaded.model
    is_plain = takes_the_likeliest(sampling) and not sampling.n_logprobs
    prompt = desk.prompt(request, _n_room(loaded, request), loaded.recall.cost, heals=is_plain)
    end_tokens = tuple({*model.eog_tokens, *fim.end_tokens})
    question = Question(
        prompt=prompt.tokens,
        max_tokens=request.max_tokens,
        stop=request.stop,
        choose=_choosing(model, desk, prompt, end_tokens, sampling),
        typed=prompt.typed,
        n_logprobs=sampling.n_logprobs,
        asked_s=asked_s,
        is_ahead=request.is_ahead,
        reads_said=True,
    )
    if is_plain:

        def others(logits: NDArray[Any], said: bytes) -> Iterator[Choice]:
            left = prompt.typed[len(said) :]
            among = desk.vocabulary.fitting(left) if left and desk.vocabulary else None
            return runners_up(logits, end_tokens, among)

        question = replace(question, runners_up=others, n_candidates=request.n_candidates)
    return answer(loaded, question, loaded.context.evaluate)


def renew(loaded: Loaded, desk: Desk, request: GenerationRequest) -> Iterator[Piece]:
    """Hold the place of an answered request fast anew, where that is due; says nothing.

    What is at work stays as it is until all is read.
    """
    context = loaded.context
    fresh = desk.renewed(request, _n_room(loaded, request))
    if fresh is None or not context.can_fork:
        return
    anchor, prompt = fresh
    if loaded.recall.cost(prompt) > context.n_cells - context.n_used_cells:
        return
    loaded.recall.begin(prompt, is_ahead=True)
    n_reused = len(context.tokens)
    try:
        context.evaluate(prompt[n_reused:])
    except Aborted:
        return
    finally:
        loaded.n_evaluated_total += len(context.tokens) - n_reused
    desk.hold(request.document, anchor)
    yield from ()


def _n_room(loaded: Loaded, request: GenerationRequest) -> int:
    """As much as for a usual answer, so that what is only read ahead is the prompt of an answer."""
    return n_prompt_room(loaded.context, max(request.max_tokens, _USUAL_ANSWER_TOKENS))


def _choosing(
    model: Model, desk: Desk, prompt: Prompt, end_tokens: tuple[int, ...], sampling: Sampling
) -> Callable[[bytes], Choose]:
    """How each answer's tokens are chosen; raises Unusable."""
    if not takes_the_likeliest(sampling):
        sampler = Sampler(model, sampling, end_tokens, prompt.tokens)
        return lambda _: sampler
    likeliest: Choose = partial(choose, end_tokens=end_tokens)
    vocabulary = desk.vocabulary
    if not prompt.typed or vocabulary is None:
        return lambda _: likeliest
    return lambda said: Healing(prompt.typed[len(said) :], vocabulary, likeliest)


def continue_text(loaded: Loaded, request: TextRequest, read: Read) -> Iterator[Piece]:
    """What comes after a text, of which the beginning is left out where it is too long.

    Raises EngineError where the request's sampling cannot be used.
    """
    asked_s = time.perf_counter()
    model = loaded.model
    n_room = n_prompt_room(loaded.context, request.max_tokens)
    start = [model.start] if model.adds_bos else []
    prompt = [*start, *tail(request.prompt, n_room - len(start), loaded.tokenize)]
    # Nothing cannot be continued: it begins as a text of the model's own would.
    prompt = prompt or [model.start]
    sampling = request.sampling
    sampler = Sampler(model, sampling, model.eog_tokens, prompt)
    question = Question(
        prompt=prompt,
        max_tokens=request.max_tokens,
        stop=request.stop,
        choose=lambda _: sampler,
        n_logprobs=sampling.n_logprobs,
        asked_s=asked_s,
    )
    return answer(loaded, question, read)
