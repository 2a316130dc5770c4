"""What an answer cost and why it was given, as `tabby.inspect` tells, and what accepting does."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import pytest

from tests.e2e.questions import SOURCE, START, check_drawable, constructor, last_decision
from tests.e2e.reference import offset_at, position_at
from tests.e2e.wire import AUTOMATIC, RefusedError

if TYPE_CHECKING:
    from tests.e2e.wire import Client, Json

INVALID_PARAMS = -32602

COUNTS = ("n_prompt_tokens", "n_reused_tokens", "n_evaluated_tokens", "n_generated_tokens")
TIMES = ("queue_ms", "prefill_ms", "decode_ms", "total_ms")


def insertion(position: Json, text: str) -> Json:
    """A change that types `text`."""
    return {"range": {"start": position, "end": position}, "text": text}


def moved(position: Json, n_columns: int) -> Json:
    """So many columns to the right."""
    return position | {"character": position["character"] + n_columns}


def test_typing_along_an_answer_costs_nothing(ready: Client) -> None:
    text, cursor = constructor("Along")
    ready.open("untitled:along", text)
    (item, *_) = ready.complete("untitled:along", cursor)
    new = check_drawable(item, text, cursor, "utf-16", ready)
    assert last_decision(ready, "untitled:along")["timings"]["n_evaluated_tokens"] > 0
    for version, typed in enumerate(new.partition("\n")[0][:6], start=2):
        ready.change("untitled:along", version, insertion(cursor, typed))
        at = offset_at(text, cursor, "utf-16")
        text, cursor, new = text[:at] + typed + text[at:], moved(cursor, 1), new[1:]
        (item, *_) = ready.complete("untitled:along", cursor, kind=AUTOMATIC)
        assert check_drawable(item, text, cursor, "utf-16", ready) == new
        decision = last_decision(ready, "untitled:along")
        assert (decision["version"], decision["outcome"]) == (version, "shown")
        assert decision["timings"]["n_evaluated_tokens"] == 0
        assert decision["timings"]["n_generated_tokens"] == 0
    ready.close("untitled:along")


def test_a_keystroke_off_the_answer_reads_little_again(ready: Client) -> None:
    head, tail = SOURCE[:3000].rpartition("\n")[0], SOURCE[3000:].partition("\n")[2]
    typed = "\n        waiting_for_replies = "
    ready.open("untitled:typed", f"{head}\n\n{tail}")
    n_evaluated, n_prompt = [], []
    for n_typed in range(len(typed) - 6, len(typed) + 1):
        text = head + typed[:n_typed]
        ready.change("untitled:typed", n_typed, {"text": f"{text}\n{tail}"})
        ready.complete("untitled:typed", position_at(text, len(text), "utf-16"))
        timings = last_decision(ready, "untitled:typed")["timings"]
        n_evaluated.append(timings["n_evaluated_tokens"])
        n_prompt.append(timings["n_prompt_tokens"])
    assert max(n_prompt) > 200
    assert statistics.median(n_evaluated[1:]) <= 16
    ready.close("untitled:typed")


def test_inspect_tells_why_each_answer_was_given(ready: Client) -> None:
    text, cursor = constructor("Told")
    uri = "untitled:told"
    ready.open(uri, text, version=3)
    before = ready.inspect()["engine"]
    ready.complete(uri, cursor)
    ready.complete(uri, cursor)
    ready.complete(uri, START)
    answer = ready.inspect(uri=uri)
    decisions = answer["decisions"]
    assert [decision["position"] for decision in decisions] == [cursor, cursor, START]
    for decision in decisions:
        assert decision["uri"] == uri
        assert decision["version"] == 3
        assert decision["outcome"] in {"shown", "empty"}
        assert decision["reason"]
        assert isinstance(decision["model"], str)
        assert "segments" not in decision
        assert all(
            isinstance(snippet["path"], str) and snippet["n_chars"] > 0
            for snippet in decision["snippets"]
        )
        timings = decision["timings"]
        assert all(isinstance(timings[name], int) for name in COUNTS)
        assert all(isinstance(timings[name], int | float) for name in TIMES)
        assert all(timings[name] >= 0 for name in COUNTS + TIMES)
        assert (
            timings["n_prompt_tokens"] == timings["n_reused_tokens"] + timings["n_evaluated_tokens"]
        )
    asked, cached, _ = decisions
    assert asked["outcome"] == cached["outcome"] == "shown"
    assert asked["model"]
    assert asked["timings"]["n_generated_tokens"] > 0
    assert asked["timings"]["n_evaluated_tokens"] > 0
    assert asked["timings"]["total_ms"] > 0
    assert cached["timings"]["n_evaluated_tokens"] == 0
    engine = answer["engine"]
    for total, each in (
        ("n_evaluated_total", "n_evaluated_tokens"),
        ("n_generated_total", "n_generated_tokens"),
    ):
        assert engine[total] - before[total] >= sum(d["timings"][each] for d in decisions)
    ready.close(uri)


def test_inspect_filters_and_limits(ready: Client) -> None:
    text, cursor = constructor("Filter")
    for uri in ("untitled:f1", "untitled:f2"):
        ready.open(uri, text.replace("Filter", uri[-2:]))
        ready.complete(uri, cursor)
        ready.complete(uri, START)
    answer = ready.inspect(uri="untitled:f1")
    assert [document["uri"] for document in answer["documents"]] == ["untitled:f1"]
    assert {decision["uri"] for decision in answer["decisions"]} == {"untitled:f1"}
    assert ready.inspect(uri="untitled:f1", n=1)["decisions"] == answer["decisions"][-1:]
    assert ready.inspect(uri="untitled:f1", n=0)["decisions"] == []
    assert [d["uri"] for d in ready.inspect(n=3)["decisions"]] == [
        "untitled:f1",
        "untitled:f2",
        "untitled:f2",
    ]
    uris = {document["uri"] for document in ready.inspect()["documents"]}
    assert {"untitled:f1", "untitled:f2"} <= uris
    assert ready.execute("tabby.inspect")["documents"]
    for uri in ("untitled:f1", "untitled:f2"):
        ready.close(uri)


@pytest.mark.parametrize(
    "argument", ["text", 5, [], {"uri": 5}, {"n": "all"}, {"n": -1}, {"prompt": "yes"}], ids=str
)
def test_inspect_refuses_what_it_does_not_understand(argument: object, ready: Client) -> None:
    with pytest.raises(RefusedError) as refused:
        ready.execute("tabby.inspect", argument)
    assert refused.value.code == INVALID_PARAMS


def test_inspect_shows_the_segments_when_asked(ready: Client) -> None:
    text, cursor = constructor("Seen")
    at = offset_at(text, cursor, "utf-16")
    ready.open("untitled:seen", text)
    ready.complete("untitled:seen", cursor)
    segments = last_decision(ready, "untitled:seen", prompt=True)["segments"]
    assert text[:at].endswith(segments["prefix"])
    assert segments["prefix"].endswith("self.height")
    assert segments["suffix"].strip()
    assert "area" in segments["suffix"]
    ready.close("untitled:seen")


def test_what_lies_beyond_the_windows_goes_to_the_engine_too(ready: Client) -> None:
    above = "".join(f"far_{n} = {n}  # {'.' * 40}\n" for n in range(300))
    text, cursor = constructor("Far")
    below = above.replace("far_", "deep_")
    ready.open("untitled:far", above + text + below)
    ready.complete("untitled:far", {**cursor, "line": cursor["line"] + 300})
    segments = last_decision(ready, "untitled:far", prompt=True)["segments"]
    under, over = segments["further"]
    assert over in above.removesuffix(segments["prefix"])
    assert "far_10 " in over
    assert "far_10 " not in segments["prefix"]
    assert under in below
    assert "deep_200 " in under
    ready.close("untitled:far")


def test_accepting_never_fails(ready: Client) -> None:
    text, cursor = constructor("Taken")
    ready.open("untitled:taken", text)
    (item, *_) = ready.complete("untitled:taken", cursor)
    command, arguments = item["command"]["command"], item["command"]["arguments"]
    ready.change("untitled:taken", 2, insertion(cursor, item["insertText"]))
    odd: list[list[object]] = [["no such id"], [None], [5], [{}], [[]], [], [*arguments, 7]]
    for given in (arguments, arguments, *odd):
        ready.execute(command, *given)
    ready.call("workspace/executeCommand", {"command": command})
    ready.call("workspace/executeCommand", {"command": command, "arguments": None})
    ready.close("untitled:taken")
    ready.execute(command, *arguments)
