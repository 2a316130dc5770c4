"""What a client may not set, and what a hostile one gets for trying."""

from __future__ import annotations

import json
import time
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.config import (
    KEYS,
    EngineSettings,
    Resolved,
    Settings,
    Source,
    client_source,
    resolve,
)
from tests.config.user import FILE

CLIENT = "the editor (workspace/configuration)"


def opened(client: object, toml: str = "") -> Resolved:
    """The settings of a user with this file, whose editor sends this."""
    file = Source(name=FILE, kind="file", values=tomllib.loads(toml))
    return resolve([file, client_source(client, "workspace/configuration")])


def check_refused(client: dict[str, Any], message: str, lines: str) -> None:
    """It is refused with these lines, and in the user's own file these lines set it."""
    result = opened(client)
    assert [str(problem) for problem in result.problems] == [f"{message}\n\n{lines}"]
    assert result.settings == Settings()
    own = opened(client, lines)
    assert own.problems == ()
    assert own.settings != Settings()


REASON = "since a repository may have put it there. If it is your own, write this into"


def test_a_file_to_write_is_refused() -> None:
    check_refused(
        {"log": {"file": "/home/u/.bashrc"}},
        f'log.file = "/home/u/.bashrc" from {CLIENT} is refused, {REASON} {FILE}:',
        '[log]\nfile = "/home/u/.bashrc"',
    )


def test_the_path_of_a_model_is_refused() -> None:
    check_refused(
        {"model": "/repo/m.gguf"},
        f'model = "/repo/m.gguf" from {CLIENT} is refused, {REASON} {FILE}, '
        "above its first [section]:",
        'model = "/repo/m.gguf"',
    )


def test_an_engine_is_refused_and_quoted_as_toml_wants_it() -> None:
    check_refused(
        {"engines": {"a.b": {"kind": "scripted", "file": 'C:\\"x"', "url": "http://x"}}},
        f"engines from {CLIENT} are refused, {REASON} {FILE}:",
        '[engines."a.b"]\nkind = "scripted"\nfile = "C:\\\\\\"x\\""',
    )


@pytest.mark.parametrize(
    "client",
    [
        {"log.file": 5},
        {"log": {"file": "a\nb"}},
        {"log": {"file": "/a\u202eb"}},
        {"engines": 5},
        {"engines": {"x": 5}},
        {"engines.x.kind": "scripted"},
        {"engines": {"x": {"kind": "magic", "file": "/f"}}},
        {"engines": {"x": {"kind": "scripted", "file": "/a\u202eb"}}},
    ],
    ids=json.dumps,
)
def test_what_could_not_be_used_is_refused_without_lines(client: dict[str, object]) -> None:
    result = opened(client)
    (problem,) = result.problems
    assert f"only {FILE} may" in problem.message
    assert problem.message.isprintable()
    assert result.settings == Settings()


@pytest.mark.parametrize(
    "model",
    [
        "models/m", "..\\m", "/m", "\\\\server\\m", "C:m", "c:\\m", "~", "~root", ".m", "..",
        "https://example.org/m", "file:///m", "m.gguf", "M.GGUF", "m.gguf ", "m.", " m", "-m",
        "$HOME", "%APPDATA%", 200 * "m", "m\u202efugg.", "m\u2215n", "hf:org/m", "m;n", "`m`",
    ],
)  # fmt: skip
def test_a_model_from_a_client_is_a_plain_name(model: str) -> None:
    result = opened({"model": model})
    assert "is refused" in result.problems[0].message
    assert result.settings == Settings()


@pytest.mark.parametrize(
    "model", ["starter", "Qwen2.5-Coder-0.5B", "qwen2.5-coder:0.5b", "starcoder2_3b", "my model"]
)
def test_a_plain_name_is_taken(model: str) -> None:
    result = opened({"model": model})
    assert (result.settings.model, result.problems) == (model, ())


def test_an_editor_may_say_that_there_is_no_chat_model() -> None:
    result = opened({"chat": {"model": ""}}, '[chat]\nmodel = "talker"')
    assert (result.settings.chat.model, result.problems) == ("", ())


def test_an_engine_from_a_client_is_local_or_the_users_own() -> None:
    toml = 'engine = "mine"\n[engines.mine]\nkind = "scripted"\nfile = "/f"'
    assert opened({"engine": "local"}, toml).settings.engine == "local"
    refused = opened({"engine": "theirs", "engines": {"theirs": {}}}, toml)
    assert refused.settings.engine == "mine"
    assert [problem.message for problem in refused.problems] == [
        f"engines from {CLIENT} are refused: only {FILE} may define them.",
        f'engine = "theirs" from {CLIENT} is ignored: there is no engine of that name. '
        f"Give it one of local, mine, or define it in {FILE} as [engines.NAME].",
    ]


def test_what_the_user_says_already_is_not_refused_again() -> None:
    toml = '[log]\nfile = "/f"\n[engines.e]\nkind = "scripted"\nfile = "/f"'
    engine = {"kind": "scripted", "file": "/f"}
    assert opened({"log.file": "/f", "engines": {"e": engine}}, toml).problems == ()
    assert opened({"log.file": ""}).problems == ()
    other = opened({"engines": {"e": engine | {"file": "/g"}}}, toml)
    assert len(other.problems) == 1
    assert other.settings.engines["e"] == EngineSettings(kind="scripted", file="/f")


@given(st.text(min_size=1, max_size=60))
def test_the_lines_of_a_refusal_give_the_very_value(path: str) -> None:
    result = opened({"log.file": f"/{path}"})
    _, is_exact, lines = result.problems[0].message.partition("\n\n")
    if is_exact:
        assert tomllib.loads(lines) == {"log": {"file": f"/{path}"}}
    else:
        assert not path.isprintable()


NAMES = (
    st.sampled_from([*KEYS, *{name.partition(".")[0] for name in KEYS}, "tabby-lsp"]) | st.text()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)


@given(st.dictionaries(NAMES, JSON))
def test_whatever_a_client_sends_usable_settings_come_of_it(client: dict[str, Any]) -> None:
    result = opened(client)
    held = result.settings
    assert (held.log.file, held.engines, held.engine) == ("", {}, "local")
    assert not set(held.model) & set("/\\~")
    for problem in result.problems:
        assert problem.source == CLIENT
        assert problem.message.replace("\n", "").isprintable()
        assert len(problem.message) < 2_000


def check_bounded(client: object) -> None:
    """Even this takes no time worth speaking of, and little is said of it."""
    started = time.process_time()
    result = opened(client)
    assert time.process_time() - started < 5
    assert result.settings == Settings()
    assert 0 < len(result.problems) <= 11
    assert sum(len(problem.message) for problem in result.problems) < 8_000


def test_any_number_of_unknown_keys() -> None:
    check_bounded({f"key{number}": "x" for number in range(100_000)})
    last = opened({f"key{number}": 1 for number in range(12)}).problems[-1]
    assert last.message == f"2 more unknown settings from {CLIENT} are ignored."


def test_any_number_of_engines_with_any_number_of_keys() -> None:
    engine = {"kind": "scripted", "file": "/f"} | {f"key{n}": n for n in range(10_000)}
    check_bounded({"engines": {f"engine{number}": engine for number in range(10_000)}})


def test_any_depth() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"completion": deep}
    check_bounded(deep)
    long: list[Any] = []
    for _ in range(100_000):
        long = [long]
    check_bounded({"completion": {"max_tokens": long}, "model": long})


def test_any_length() -> None:
    huge = "x" * 5_000_000
    check_bounded({huge: huge, "model": huge, "completion": {huge: [huge], "block": huge}})
    check_bounded({"completion": {"max_tokens": 10**20_000, "disabled_languages": [huge] * 99}})


def test_control_characters_do_not_get_into_a_message() -> None:
    (problem,) = opened({"\x1b]0;x\x07": "\x1b[2J\u202e\n\ud800"}).problems
    assert problem.message == (
        '\\u001b]0;x\\u0007 = "\\u001b[2J\\u202e\\u000a\\ud800" from '
        f"{CLIENT} is ignored: there is no such setting; docs/configuration.md lists all."
    )
