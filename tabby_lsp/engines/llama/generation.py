"""From a request to an answer: code in the middle, and text as it is."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tabby_lsp.engines.llama.answering import Question, answer, drafting, n_prompt_room
from tabby_lsp.engines.llama.context import Aborted
from tabby_lsp.engines.llama.copying import Copying, GreedyCopying
from tabby_lsp.engines.llama.drawing import Sampler
from tabby_lsp.engines.llama.healing import Healing
from tabby_lsp.engines.llama.layout import tail
from tabby_lsp.engines.llama.sampling import Greedy, runners_up, takes_the_likeliest
from tabby_lsp.engines.llama.searched import Searched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tabby_lsp.domain import GenerationRequest, Piece, TextRequest
    from tabby_lsp.engines.llama.binding import Model
    from tabby_lsp.engines.llama.desk import Desk, Prompt
    from tabby_lsp.engines.llama.healing import Vocabulary
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.sampling import Choice, Choose
    from tabby_lsp.engines.llama.speculation import Read
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
    likeliest = _Likeliest(model, fim, desk.vocabulary, prompt, end_tokens)
    question = Question(
        prompt=prompt.tokens,
        max_tokens=request.max_tokens,
        stop=request.stop,
        is_one_line=request.is_one_line,
        choose=likeliest.choose,
        draft=drafting(
            loaded,
            sampling,
            prompt.elsewhere,
            prompt.open_tokens,
            prompt.typed,
            is_one_line=request.is_one_line,
        ),
        runners_up=likeliest.runners_up,
        typed=prompt.typed,
        n_candidates=request.n_candidates,
        n_logprobs=sampling.n_logprobs,
        asked_s=asked_s,
        client=request.client,
        is_ahead=request.is_ahead,
        reads_said=True,
    )
    if not is_plain:
        sampler = Sampler(model, sampling, end_tokens, prompt.tokens)
        question = replace(question, choose=lambda _: sampler, n_candidates=1)
    return answer(loaded, question, loaded.context.evaluate)


@dataclass(frozen=True, slots=True)
class _Likeliest:
    """Which tokens come next where chance has no part in it."""

    model: Model
    fim: Fim
    vocabulary: Vocabulary | None
    prompt: Prompt
    end_tokens: tuple[int, ...]

    def choose(self, said: Sequence[int]) -> Choose:
        """A way to choose what comes behind the first tokens of an answer."""
        source, left = self._source(said), self._typed_behind(said)
        chosen: Choose = Greedy(self.end_tokens)
        if source is not None:
            chosen = GreedyCopying(source, self.end_tokens)
        if left and self.vocabulary is not None:
            chosen = Healing(left, self.vocabulary, chosen)
        return chosen

    def runners_up(self, logits: NDArray[Any], said: Sequence[int]) -> Iterator[Choice]:
        """What may stand behind them, the likeliest first."""
        source, left = self._source(said), self._typed_behind(said)
        if left and self.vocabulary is not None:
            logits = self.vocabulary.only_fitting(logits, left)
        if source is not None:
            logits = source.mixed(logits)
        return runners_up(logits, self.end_tokens)

    def _source(self, said: Sequence[int]) -> Copying | None:
        gate, prompt = self.fim.copy_gate, self.prompt
        if gate is None:
            return None
        source = Copying(gate, prompt.elsewhere, prompt.open_tokens)
        for token in said:
            source.hear(token)
        return source

    def _typed_behind(self, said: Sequence[int]) -> bytes:
        return self.prompt.typed[sum(len(self.model.piece(token)) for token in said) :]


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
    loaded.recall.begin(prompt, is_ahead=True, client=request.client)
    n_reused = len(context.tokens)
    try:
        context.evaluate(prompt[n_reused:])
    except Aborted:
        return
    finally:
        # Less may be there than before where it was stopped.
        loaded.n_evaluated_total += max(0, len(context.tokens) - n_reused)
    desk.hold(request.document, anchor)
    yield from ()


def _n_room(loaded: Loaded, request: GenerationRequest) -> int:
    """As much as for a usual answer, so that what is only read ahead is the prompt of an answer."""
    return n_prompt_room(loaded.context, max(request.max_tokens, _USUAL_ANSWER_TOKENS))


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
        draft=drafting(loaded, sampling, Searched(()), prompt),
        n_logprobs=sampling.n_logprobs,
        asked_s=asked_s,
    )
    return answer(loaded, question, read)
