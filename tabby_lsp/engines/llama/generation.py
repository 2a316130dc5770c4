"""From a request to an answer: code in the middle, and text as it is."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.answering import Question, answer, n_prompt_room
from tabby_lsp.engines.llama.drawing import Sampler
from tabby_lsp.engines.llama.layout import tail
from tabby_lsp.engines.llama.sampling import choose, takes_the_likeliest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.domain import GenerationRequest, Piece, TextRequest
    from tabby_lsp.engines.llama.answering import Read
    from tabby_lsp.engines.llama.desk import Desk
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.sampling import Choose
    from tabby_lsp.models.families import Fim


# Those of a block, as the settings have it by default.
_USUAL_ANSWER_TOKENS = 96


def generate(loaded: Loaded, fim: Fim, desk: Desk, request: GenerationRequest) -> Iterator[Piece]:
    """What belongs between prefix and suffix.

    Raises EngineError where the request's sampling cannot be used.
    """
    asked_s = time.perf_counter()
    # As much as for a usual answer, so that a prompt that is only read ahead is that of the answer.
    n_room = n_prompt_room(loaded.context, max(request.max_tokens, _USUAL_ANSWER_TOKENS))
    prompt = desk.prompt(request, n_room, loaded.recall.cost)
    end_tokens = tuple({*loaded.model.eog_tokens, *fim.end_tokens})
    sampling = request.sampling
    if takes_the_likeliest(sampling):
        draw: Choose = partial(choose, end_tokens=end_tokens)
    else:
        draw = Sampler(loaded.model, sampling, end_tokens, prompt)
    question = Question(
        prompt,
        request.max_tokens,
        request.stop,
        draw,
        sampling.n_logprobs,
        asked_s,
        request.is_ahead,
    )
    return answer(loaded, question, loaded.context.evaluate)


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
    question = Question(
        prompt,
        request.max_tokens,
        request.stop,
        Sampler(model, sampling, model.eog_tokens, prompt),
        sampling.n_logprobs,
        asked_s,
    )
    return answer(loaded, question, read)
