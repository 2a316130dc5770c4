"""The values that travel between the floors, and the promise that every engine keeps.

Invariant: imports nothing but the standard library, and nothing of this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

Outcome = Literal["shown", "empty", "cancelled", "superseded", "failed"]
# `failed` stays; `away` is tried again by the engine itself, with the requests that come.
EngineState = Literal["unloaded", "loading", "ready", "away", "failed"]
Role = Literal["system", "user", "assistant"]
# By itself, or cut off at `max_tokens`; "" before the end, and where nobody says.
Finish = Literal["", "stop", "length"]
# How an answer is drawn: grey behind the cursor, or as an entry of the completion menu.
Shape = Literal["ghost-text", "menu"]
# Why a request was answered as it was; docs/lsp-extensions.md says what each one means.
Reason = Literal[
    "line",
    "block",
    "cached",
    "cached-nothing",
    "nothing-to-add",
    "filtered",
    "low-confidence",
    "first-lines",
    "not-yet",
    "cannot-be-drawn",
    "blank-document",
    "inside-word",
    "code-after-cursor",
    "secret-on-line",
    "secret-file",
    "too-large",
    "disabled",
    "language-disabled",
    "language-unknown-to-model",
    "model-loading",
    "model-failed",
    "engine-away",
    "engine-failed",
    "internal-error",
    "cancelled",
    "superseded",
]
# What became of a suggestion: put in as a whole, in part, typed key by key, or not wanted.
Fate = Literal["accepted", "accepted-in-part", "typed-along", "dismissed"]


class EngineError(Exception):
    """An engine cannot do what it was asked; the text is a sentence with cause and remedy."""


class Unusable(EngineError):
    """The request itself is at fault: asked again as it is, it fails again."""


class TooLong(Unusable):
    """What must be read as a whole is longer than the model can hold in mind."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of another file that may help to complete this one."""

    path: str  # relative to the workspace folder, with forward slashes
    text: str  # whole lines
    # 0 is the likeliest to help: an engine without room for all keeps the lowest. Not part of what
    # a snippet is, for an engine that has read it need not read it again when this changes.
    rank: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """What there is to complete, as text: each engine renders it in its own way."""

    prefix: str  # ends at the cursor
    suffix: str  # begins at the cursor
    # The import statements above the cursor: an engine shows them where its window begins below.
    imports: str = ""
    path: str = ""  # relative to the workspace folder, with forward slashes; "" where there is none
    repository: str = ""  # the workspace folder's name
    language: str = ""  # LSP language id
    snippets: tuple[Snippet, ...] = ()  # what changes most slowly stands first
    # Whether what stands right of the cursor on its line only closes what is open: an engine may
    # leave it out, so that it need not read everything again when an editor puts it there, and the
    # answer may then say it too.
    rest_closes: bool = False
    # Other files, and more of the document below and above: to copy from, and not to read.
    further: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What one answer cost; `n_prompt_tokens == n_reused_tokens + n_evaluated_tokens`."""

    n_prompt_tokens: int = 0
    n_reused_tokens: int = 0
    n_evaluated_tokens: int = 0
    n_generated_tokens: int = 0
    n_drafted_tokens: int = 0  # computed together with others on a guess
    n_accepted_tokens: int = 0  # of these, which were right
    queue_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How each token is chosen; as it stands, the likeliest one, the same each time."""

    temperature: float = 0.0
    top_k: int = 0  # 0 for all
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None  # None for chance
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()  # token id, and what is added to its logit
    json_schema: str = ""  # JSON Schema, as JSON: the answer is of this shape
    grammar: str = ""  # GBNF, llama.cpp's own: the answer is in this language
    n_logprobs: int = 0  # how many tokens to tell of at each place; 0 for no word of them


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One question to an engine."""

    segments: Segments
    max_tokens: int
    stop: tuple[str, ...] = ()  # the text ends before the first of these
    sampling: Sampling = Sampling()
    # Which text it is about, so that an engine can keep what it has read of each; "" for none.
    document: str = ""
    # How many different answers are wanted. An engine may give fewer, and none gives more.
    n_candidates: int = 1
    # Made before anybody asks: it stands behind all others and ends, without a `finish`, when one
    # of them comes; what it has read is kept. With `max_tokens` 0 it only reads.
    is_ahead: bool = False
    # The text may end with the first line that has something in it, its line end included.
    is_one_line: bool = False
    # Whose it is: what was read for one is not given up for another who reads more.
    client: str = ""


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A text to be continued as it is, without fill-in-the-middle and without a template."""

    prompt: str
    max_tokens: int
    stop: tuple[str, ...] = ()
    sampling: Sampling = Sampling()


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What one side of a conversation said."""

    role: Role
    content: str
    # What the content is about, such as code: stands before it, the most important first. What
    # does not fit is left out from the end.
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A conversation to be continued; an engine crops it to what its model can hold in mind."""

    messages: tuple[ChatMessage, ...]  # the last one is the user's
    max_tokens: int
    stop: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    keeps_last: bool = False  # the last message is read as a whole, or refused with TooLong


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """One token of an answer, and what else could have stood in its place."""

    text: str
    raw: bytes  # a token may be half a character
    logprob: float
    others: tuple[tuple[str, bytes, float], ...]  # text, bytes, logprob; the likeliest first


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bit of an answer: whole characters, never half of one."""

    text: str
    logprob: float  # natural logarithm, summed over the piece's tokens
    timings: Timings  # of the answer so far
    finish: Finish = ""  # of the last piece: why the answer ended
    logprobs: tuple[TokenLogprobs, ...] = ()  # where `n_logprobs` asks for them
    # Which of the answers it belongs to: the first is streamed whole before the others begin.
    candidate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """What an engine says of itself, for status lines, `tabby.inspect` and `doctor`."""

    state: EngineState
    model: str
    languages: tuple[str, ...] = ()  # language ids the model knows; () where it does not say
    message: str = ""  # why it failed and what to do, or what it is loading
    is_remote: bool = False  # whether each request goes to a server
    n_evaluated_total: int = 0
    n_generated_total: int = 0
    n_waiting: int = 0  # requests that wait here for the one that is answered
    n_ctx: int = 0  # tokens that the model holds in mind; 0 where it is not loaded here


class Engine(Protocol):
    """Who runs a model: local, remote or scripted."""

    @property
    def status(self) -> EngineStatus:
        """The present state; never waits."""

    async def load(self) -> None:
        """Make the model ready; returns at once where it is.

        Raises EngineError when the model cannot be used.
        """

    def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        """Stream the answer; closing the generator, at any moment, stops the work behind it.

        Raises EngineError when no answer can be given.
        """

    async def close(self) -> None:
        """Give everything back; what still runs is stopped."""


class TextEngine(Protocol):
    """An engine that knows its model's tokens: those on this machine."""

    def continue_text(self, request: TextRequest) -> AsyncGenerator[Piece, None]:
        """Stream what comes after the prompt; as an Engine's `complete` in all else."""

    async def encode(self, text: str, *, controls: bool, bos: bool) -> list[int]:
        """The token ids of a text; `controls` reads control tokens, `bos` begins with the first."""

    async def decode(self, tokens: Sequence[int], *, controls: bool) -> str:
        """The text of token ids, with the names of control tokens or without them."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """What a text means, as a vector of length 1, and how many tokens it has."""

    vector: tuple[float, ...]
    n_tokens: int


class Embedder(Protocol):
    """Who turns texts into vectors."""

    @property
    def status(self) -> EngineStatus:
        """As an Engine's."""

    async def load(self) -> None:
        """As an Engine's."""

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """One for each text; a text too long for the model is cut. Cancelled at any moment.

        Raises EngineError.
        """

    async def close(self) -> None:
        """As an Engine's."""


class ChatEngine(Protocol):
    """Who runs a chat model: local, remote or scripted."""

    @property
    def status(self) -> EngineStatus:
        """As an Engine's."""

    async def load(self) -> None:
        """As an Engine's."""

    def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Stream the assistant's next message; as an Engine's `complete` in all else."""

    async def close(self) -> None:
        """As an Engine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Text to put in the place of `replaced` at the cursor."""

    text: str
    replaced: str = ""  # what right of the cursor, on its line, the text takes the place of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why a request was answered as it was: what `tabby.inspect` shows."""

    uri: str
    version: int
    line: int
    character: int  # in the client's own units
    outcome: Outcome
    reason: Reason
    model: str
    timings: Timings
    shape: Shape = "ghost-text"
    segments: Segments | None = None  # as they went to the engine; None where no engine was asked
