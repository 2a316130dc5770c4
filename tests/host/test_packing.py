"""Whatever the window and the host tell each other arrives as it was sent."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp import domain
from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import ChatRequest, GenerationRequest, Piece, Segments
from tabby_lsp.host.model import HostedModel, HostReport
from tabby_lsp.host.packing import Unpackable, packed, unpacked

TRAVELLERS = (GenerationRequest, ChatRequest, Piece, HostedModel, HostReport)

# Half of a surrogate pair as well: an editor's text may hold one.
texts = st.text(st.characters(exclude_categories=())) | st.just("\ud83d")


def register() -> None:
    st.register_type_strategy(str, texts)
    st.register_type_strategy(float, st.floats(allow_nan=False))


register()


@pytest.mark.parametrize("kind", TRAVELLERS)
def test_what_comes_out_is_what_went_in(kind: type[Any]) -> None:
    @given(st.builds(kind))
    def law(value: Any) -> None:
        over_the_wire = json.loads(json.dumps(packed(value)))
        assert unpacked(kind, over_the_wire) == value

    law()


@pytest.mark.parametrize(
    "kind", [each for each in vars(domain).values() if is_dataclass(each)], ids=lambda k: k.__name__
)
def test_every_value_of_the_domain_can_be_told_by_its_types(kind: type[Any]) -> None:
    """So a field that is added later travels by itself."""
    assert get_type_hints(kind)


def test_what_is_not_known_is_passed_over_and_what_is_missing_has_its_default() -> None:
    sent = {"segments": {"prefix": "a", "suffix": "", "mood": 3}, "max_tokens": 4, "newer": [1]}
    assert unpacked(GenerationRequest, sent) == GenerationRequest(
        Segments(prefix="a", suffix=""), 4
    )


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        {"max_tokens": 4},
        {"segments": {"prefix": 1, "suffix": ""}, "max_tokens": 4},
        {"segments": {"prefix": "", "suffix": ""}, "max_tokens": True},
        {"segments": {"prefix": "", "suffix": ""}, "max_tokens": 4, "stop": "x"},
    ],
)
def test_what_is_no_such_value_is_refused(sent: object) -> None:
    with pytest.raises(Unpackable):
        unpacked(GenerationRequest, sent)


def test_the_names_of_roles_are_checked() -> None:
    local = packed(LocalSettings())
    with pytest.raises(Unpackable):
        unpacked(HostedModel, {"role": "root", "name": "", "path": "", "local": local})
