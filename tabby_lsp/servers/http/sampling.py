"""How an answer is wanted, in the words of OpenAI's and TabbyAPI's requests, and in ours.

What only tints the choice of tokens and is unknown here (`mirostat_mode`, `dry_multiplier`,
`xtc_probability`, `typical` and their like) is left out without a word, as their servers do; what
promises something of the answer is kept or refused.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from tabby_lsp.domain import Sampling
from tabby_lsp.servers.http.errors import Refusal

MAX_CHOICES = 8
_MAX_STOPS = 16
_MAX_TOKEN_ENTRIES = 1_024
_MAX_GRAMMAR_CHARS = 65_536
# Out of reach, as a logit of minus infinity would be.
_BANNED = -1_000.0
_ANY_OBJECT = '{"type":"object"}'

TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Stop = Annotated[str, Field(max_length=1_000)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Share = Annotated[float, Field(ge=0, le=1)]


class JsonSchemaFormat(BaseModel):
    """The schema of an answer; `strict` makes no difference, every schema is kept to."""

    name: Annotated[str, Field(max_length=200)] | None = None
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(BaseModel):
    """The shape of an answer."""

    type: Literal["text", "json", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class StreamOptions(BaseModel):
    """What a stream tells besides the text."""

    include_usage: bool = False


class AnswerRequest(BaseModel):
    """What requests for text and for chat have in common."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: Annotated[str, Field(max_length=500)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int = Field(default=1, ge=1, le=MAX_CHOICES)
    max_tokens: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None,
        validation_alias=AliasChoices("max_tokens", "max_completion_tokens", "max_length"),
    )
    stop: Stop | Annotated[list[Stop], Field(max_length=_MAX_STOPS)] | None = Field(
        default=None, validation_alias=AliasChoices("stop", "stop_sequence")
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Field(ge=-1, le=1_000_000)] | None = None
    min_p: Share | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = Field(
        default=None, validation_alias=AliasChoices("repetition_penalty", "rep_pen")
    )
    logit_bias: (
        Annotated[
            dict[TokenId, Annotated[float, Field(ge=-100, le=100)]],
            Field(max_length=_MAX_TOKEN_ENTRIES),
        ]
        | None
    ) = None
    banned_tokens: Annotated[list[TokenId], Field(max_length=_MAX_TOKEN_ENTRIES)] | None = Field(
        default=None, validation_alias=AliasChoices("banned_tokens", "custom_token_bans")
    )
    response_format: ResponseFormat | None = None
    json_schema: dict[str, Any] | None = None
    grammar_string: Annotated[str, Field(max_length=_MAX_GRAMMAR_CHARS)] | None = None
    regex_pattern: Annotated[str, Field(max_length=_MAX_GRAMMAR_CHARS)] | None = None
    banned_strings: str | list[str] | None = None
    min_tokens: int | None = Field(
        default=None, validation_alias=AliasChoices("min_tokens", "min_length")
    )
    ban_eos_token: bool | None = Field(
        default=None, validation_alias=AliasChoices("ban_eos_token", "ignore_eos")
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, asked: Any) -> Any:
        """Null is as good as nothing, also for one of two names of the same thing."""
        if not isinstance(asked, dict):
            return asked
        return {name: value for name, value in asked.items() if value is not None}

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer; an empty one would end it before it begins."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)

    @property
    def tells_usage(self) -> bool:
        """Whether a stream ends with the count of its tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


def sampling_of(asked: AnswerRequest, advised: Sampling, n_logprobs: int) -> Sampling:
    """How each token is chosen: as `advised` where the request says nothing of it.

    Where it says anything, the rest is as in OpenAI's API: a temperature of 1 and no cuts.
    Raises Refusal for what cannot be promised.
    """
    _refuse_promises(asked)
    cuts = (asked.temperature, asked.top_p, asked.top_k, asked.min_p)
    base = advised
    if any(value is not None for value in cuts):
        base = Sampling(
            temperature=1.0 if asked.temperature is None else asked.temperature,
            top_k=max(0, asked.top_k or 0),
            top_p=1.0 if asked.top_p is None else asked.top_p,
            min_p=asked.min_p or 0.0,
        )
    bias = dict(asked.logit_bias or {}) | dict.fromkeys(asked.banned_tokens or (), _BANNED)
    schema, grammar = _shape(asked)
    return replace(
        base,
        # llama.cpp's word for chance.
        seed=None if asked.seed == -1 else asked.seed,
        frequency_penalty=asked.frequency_penalty or 0.0,
        presence_penalty=asked.presence_penalty or 0.0,
        repetition_penalty=asked.repetition_penalty or 1.0,
        logit_bias=tuple(bias.items()),
        json_schema=schema,
        grammar=grammar,
        n_logprobs=n_logprobs,
    )


def of_choice(sampling: Sampling, index: int) -> Sampling:
    """The sampling of one of several answers, which would be all the same with one seed."""
    return sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + index)


def _shape(asked: AnswerRequest) -> tuple[str, str]:
    """The JSON Schema and the grammar of the answer, one of them at the most."""
    shapes = [json.dumps(asked.json_schema)] if asked.json_schema is not None else []
    wanted = asked.response_format
    if wanted is not None and wanted.type == "json_schema":
        if wanted.json_schema is None:
            raise Refusal(400, "`response_format.json_schema` is missing.")
        shapes.append(json.dumps(wanted.json_schema.schema_))
    elif wanted is not None and wanted.type != "text" and not shapes:
        shapes.append(_ANY_OBJECT)
    grammar = asked.grammar_string or ""
    if len(shapes) + bool(grammar) > 1:
        raise Refusal(
            400, "One of `response_format`, `json_schema` and `grammar_string`: not several."
        )
    return (shapes[0] if shapes else ""), grammar


def _refuse_promises(asked: AnswerRequest) -> None:
    promises = {
        "regex_pattern": asked.regex_pattern,
        "banned_strings": asked.banned_strings,
        "min_tokens": asked.min_tokens,
        "ban_eos_token": asked.ban_eos_token,
    }
    for name, value in promises.items():
        if value:
            raise Refusal(501, f"`{name}` is not kept here, so leave it out.")
