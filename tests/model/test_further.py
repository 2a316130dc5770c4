"""The starter says what stands far off in the document, without reading it."""

from __future__ import annotations

from dataclasses import replace

from tests.model.starter import bench, request

FAR = """

def price(cart, season):
    return cart.reckon_without_vouchers(season, rounding=HALF_CENT)


def label(cart):
    return cart.owner
"""
PREFIX = "class Till:\n    def total(self, cart, season):\n        return cart.rec"


def test_what_stands_far_off_is_said_and_costs_no_token() -> None:
    starter = bench()
    alone = request(PREFIX)
    said, prompt, _ = starter.ask(alone)
    further = replace(alone, segments=replace(alone.segments, further=(FAR,)))
    said_with, prompt_with, timings = starter.ask(further)
    starter.close()

    assert "without_vouchers" not in said
    assert said_with.startswith("kon_without_vouchers(season")
    assert prompt_with.tokens == prompt.tokens
    assert timings.n_evaluated_tokens == 0
