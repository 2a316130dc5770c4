"""What can go wrong with a server, each as one sentence with the cause and the remedy.

Invariant: no sentence holds a key or text of the user's, and the same fault is the same sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

# One sentence of each is shown, however often it comes and whatever the server adds to it.
FaultKind = Literal[
    "away",
    "untrusted",
    "slow",
    "broken",
    "key",
    "place",
    "model",
    "busy",
    "loading",
    "server",
    "suffix",
    "unable",
    "refused",
    "redirect",
    "strange",
    "flood",
]

_MAX_QUOTED_CHARS = 160
_MAX_NAMES_SHOWN = 8
# A server that repeats so much of a question has quoted the user's code.
_TELLTALE_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server is, and how the user's settings speak of it."""

    name: str  # of the engine: [engines.NAME]
    url: str  # without a slash at the end
    has_key: bool
    is_for_chat: bool = False

    @property
    def table(self) -> str:
        """Where to mend it."""
        return f"[engines.{self.name}] in config.toml"

    @property
    def if_too_long(self) -> str:
        """What helps then; llama-cpp-python's server, for one, says nothing at all."""
        if self.is_for_chat:
            return "a new conversation, or a smaller `n_ctx`, helps if this one is too long for it"
        return "`context.prefix_chars` makes prompts shorter if they are too long for it"


class Fault(EngineError):
    """The server did not do what it was asked; `retry_after_s` is its own wish."""

    def __init__(self, kind: FaultKind, message: str, retry_after_s: float = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


def away(place: Place, why: str) -> Fault:
    return Fault(
        "away",
        f"There is no answer from {place.url} ({why}): start the server there, or correct `url` of"
        f" {place.table}.",
    )


def untrusted(place: Place) -> Fault:
    return Fault(
        "untrusted",
        f"The certificate of {place.url} is not trusted: give the server one that this machine"
        " knows, or add its authority to the system's.",
    )


def slow(place: Place) -> Fault:
    return Fault(
        "slow",
        f"{place.url} took too long to answer: let it run a smaller model, or raise `timeout_ms` of"
        f" {place.table}.",
    )


def broken(place: Place) -> Fault:
    return Fault(
        "broken",
        f"{place.url} broke off in the middle of an answer: its own log should say why, and"
        f" {place.if_too_long}. It is asked again.",
    )


def failed(place: Place, said: str) -> Fault:
    """The server says in an answer that there will be none; what it says may be about anything."""
    word = f" ({said})" if said else ""
    return Fault(
        "server",
        f"{place.url} failed while it answered{word}: its own log should say why, and"
        f" {place.if_too_long}. It is asked again.",
    )


def redirected(place: Place) -> Fault:
    return Fault(
        "redirect",
        f"{place.url} sends its visitors to another address, and tabby-lsp does not follow: give"
        f" the final address as `url` of {place.table}.",
    )


def strange(place: Place, what: str) -> Fault:
    return Fault(
        "strange",
        f"{place.url} answers with {what}: `url` or `kind` of {place.table} is not right for it,"
        " or something stands between.",
    )


def flood(place: Place) -> Fault:
    return Fault(
        "flood",
        f"{place.url} sends far more than it was asked for: update the server, or correct `kind` of"
        f" {place.table}.",
    )


def no_model(place: Place, model: str, names: Iterable[str] = ()) -> Fault:
    lacks = f"has no model {quoted(model)}" if model else "has not just one model"
    return Fault(
        "model",
        f"{place.url} {lacks}: set `model` of {place.table} to one that it has{listed(names)}.",
    )


def refused(
    place: Place, status: int, said: str, *, model: str = "", retry_after_s: float = 0
) -> Fault:
    """A status other than 200; `said` is the server's own word on it, made fit by `quotable`."""
    word = f"{status}{': ' if said else ''}{said}"
    if status in (401, 403):
        remedy = "is not the right one: correct" if place.has_key else "is missing: set"
        return Fault(
            "key",
            f"{place.url} refuses to answer ({word}): the key {remedy} `api_key` or `api_key_env`"
            f" of {place.table}.",
        )
    if status in (404, 405):
        remedy = f"correct `model` ({quoted(model)}), `url` or `kind`" if model else "correct `url`"
        return Fault(
            "place", f"{place.url} does not have that ({word}): {remedy} of {place.table}."
        )
    if status == 429:
        return Fault(
            "busy",
            f"{place.url} is asked more often than it allows ({word}): it is left alone for as long"
            " as it wishes; `completion.debounce_ms` in config.toml makes requests rarer.",
            retry_after_s,
        )
    if status in (408, 504):
        return Fault("slow", f"{place.url} could not answer in time ({word}): it is asked again.")
    if status == 503:
        return Fault(
            "loading",
            f"{place.url} is not ready ({word}): it is asked again.",
            retry_after_s,
        )
    if status >= 500 and status != 501:
        return Fault(
            "server",
            f"{place.url} failed ({word}): its own log should say why; it is asked again.",
            retry_after_s,
        )
    if "suffix" in said.lower():
        return Fault(
            "suffix",
            f"{place.url} does not fill in the middle by itself ({word}): set `family` of"
            f" {place.table} to that of its model, such as Qwen2.5-Coder, and the prompt is written"
            " here.",
        )
    return Fault(
        "unable" if status == 501 else "refused",
        f"{place.url} does not take the request ({word}): correct `kind`, `model` or `family` of"
        f" {place.table}; {place.if_too_long}.",
    )


def quotable(said: object, key: str, asked: str) -> str:
    """A server's word as it may be shown: short, printable, without the key and the user's code.

    Colons and the like stay; a server that repeats a stretch of the question is not quoted at all.
    """
    if not isinstance(said, str):
        return ""
    text = " ".join((said.replace(key, "…") if key else said).split())
    asked = " ".join(asked.split())
    starts = range(max(0, len(text) - _TELLTALE_CHARS + 1))
    if any(text[start : start + _TELLTALE_CHARS] in asked for start in starts[:2_000]):
        return ""
    text = "".join(char if char.isprintable() else "�" for char in text)
    return text if len(text) <= _MAX_QUOTED_CHARS else text[: _MAX_QUOTED_CHARS - 1] + "…"


def quoted(name: str) -> str:
    """A name out of a server's or a user's mouth."""
    return f'"{quotable(name, "", "")}"'


def listed(names: Iterable[str]) -> str:
    """`: "a", "b"`, or nothing."""
    shown = [quoted(name) for name in names][:_MAX_NAMES_SHOWN]
    return f": {', '.join(shown)}" if shown else ""
