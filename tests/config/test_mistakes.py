"""Every mistake is named with key, value, source and remedy, and does no harm."""

from __future__ import annotations

from typing import Any

import pytest

from tabby_lsp.config import Settings, flag_source, resolve
from tests.config.user import CLIENT, FILE, resolved, settings


def check(message: str, *args: Any, **kwargs: Any) -> None:
    """These sources have one mistake, of which this is said, and it leaves the defaults alone."""
    result = resolved(*args, **kwargs)
    assert [str(problem) for problem in result.problems] == [message]
    assert result.settings == Settings()


def test_a_wrong_type_is_named_with_key_value_source_and_remedy() -> None:
    check(
        f'completion.max_tokens = "many" from {FILE} is ignored: '
        "give it a whole number of tokens from 1 to 2048. It stays 96.",
        '[completion]\nmax_tokens = "many"',
    )


def test_a_variable_is_named_exactly() -> None:
    check(
        'log.level = "loud" from environment variable TABBY_LSP_LOG_LEVEL is ignored: '
        'give it "debug" or "info" or "warning" or "error". It stays "warning".',
        environ={"TABBY_LSP_LOG_LEVEL": "loud"},
    )


def test_a_flag_is_named_exactly() -> None:
    check(
        'log.level = "loud" from --log-level is ignored: '
        'give it "debug" or "info" or "warning" or "error". It stays "warning".',
        flags={"log.level": "loud"},
    )


def test_a_flag_that_is_not_called_as_its_key_is_named_as_it_is_typed() -> None:
    flags = flag_source({"serve.port": "abc"}, {"serve.port": "--port"})
    (problem,) = resolve([flags]).problems
    assert str(problem) == (
        'serve.port = "abc" from --port is ignored: '
        "give it a whole number from 1 to 65535. It stays 8080."
    )


def test_what_cannot_be_used_leaves_the_source_below_it() -> None:
    result = resolved("[local]\nn_ubatch = 32", {"TABBY_LSP_LOCAL_N_UBATCH": "x"})
    assert result.settings.local.n_ubatch == 32
    assert "It stays 32." in str(result.problems[0])


@pytest.mark.parametrize(
    "value",
    ["true", "5.0", "0", "-1", "2049", "nan", "inf", "1" + 400 * "0", "[5]", "1979-05-27", "{}"],
)
def test_only_a_whole_number_in_range_is_a_number(value: str) -> None:
    result = resolved(f"[completion]\nmax_tokens = {value}")
    assert len(result.problems) == 1
    assert result.settings == Settings()


@pytest.mark.parametrize("value", ["1_000", "1e3", "٣", "1" * 5000, "0x10", "3.0", "true"])
def test_only_plain_digits_are_a_number_in_the_environment(value: str) -> None:
    result = resolved(environ={"TABBY_LSP_COMPLETION_MAX_TOKENS": value})
    assert len(result.problems) == 1
    assert result.settings == Settings()


@pytest.mark.parametrize("value", [1e300, float("nan"), float("-inf"), 5.5, True, "5", [], {}])
def test_a_client_sends_whole_numbers_only(value: object) -> None:
    result = resolved(client={"completion": {"max_tokens": value}})
    assert len(result.problems) == 1
    assert result.settings == Settings()


def test_zero_stands_for_something_below_the_least_number() -> None:
    assert settings("[local]\nn_ctx = 0").local.n_ctx == 0
    check(
        f"local.n_ctx = 255 from {FILE} is ignored: give it a whole number of tokens from 256 to "
        "1048576, or 0 for what it was trained for, at most 8192. It stays 0.",
        "[local]\nn_ctx = 255",
    )


@pytest.mark.parametrize("value", ["1", '"true"', "[]"])
def test_only_true_and_false_are_a_switch(value: str) -> None:
    result = resolved(f"[stats]\nenabled = {value}")
    assert len(result.problems) == 1
    assert result.settings == Settings()


@pytest.mark.parametrize("value", ['"python"', "[1]", '[""]', '[["python"]]', '["a\\u0000"]'])
def test_only_texts_are_a_list(value: str) -> None:
    result = resolved(f"[completion]\ndisabled_languages = {value}")
    assert len(result.problems) == 1
    assert result.settings == Settings()


@pytest.mark.parametrize("value", ['""', "5", '"a\\u0000b"', '"a\\nb"', '"' + 2000 * "a" + '"'])
def test_a_model_is_a_short_line_of_text(value: str) -> None:
    result = resolved(f"model = {value}")
    assert len(result.problems) == 1
    assert result.settings == Settings()


def test_a_section_is_not_a_value() -> None:
    check(
        f"completion = false from {FILE} is ignored: it takes settings, "
        "such as completion.enabled.",
        "completion = false",
    )


@pytest.mark.parametrize(
    ("toml", "near"),
    [
        ("[completion]\nmax_tokns = 5", "completion.max_tokens"),
        ("max_tokens = 5", "completion.max_tokens"),
        ("[context]\nmax_tokens = 5", "completion.max_tokens"),
        ("[completions]\nenabled = false", "completion"),
        ('log_file = "x"', "log.file"),
        ("debounce = 5", "completion.debounce_ms"),
        ('[completion]\nmodel = "x"', "model, above the first [section]"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(toml: str, near: str) -> None:
    (problem,) = resolved(toml).problems
    assert problem.message.endswith(f"is ignored: there is no such setting; did you mean {near}?")


def test_a_key_without_a_letter_is_seen() -> None:
    check(
        f'"" = 1 from {FILE} is ignored: there is no such setting; '
        "docs/configuration.md lists all.",
        '"" = 1',
    )


def test_an_unknown_variable_is_named_with_the_nearest_one() -> None:
    check(
        'modle = "x" from environment variable TABBY_LSP_MODLE is ignored: '
        "there is no such setting; did you mean TABBY_LSP_MODEL?",
        environ={"TABBY_LSP_MODLE": "x"},
    )


def test_an_unknown_key_is_spelled_as_the_client_spelled_it() -> None:
    check(
        f"completion.maxTokns = 5 from {CLIENT} is ignored: "
        "there is no such setting; did you mean completion.max_tokens?",
        client={"completion": {"maxTokns": 5}},
    )


def test_a_key_that_nothing_is_near_to() -> None:
    check(
        f"zzz = (a table) from {FILE} is ignored: "
        "there is no such setting; docs/configuration.md lists all.",
        "[zzz]\na = 1",
    )


def test_a_misspelled_credential_does_not_get_into_a_message() -> None:
    for key in ("api_key", "apiKey", "token", "completion.secret"):
        (problem,) = resolved(client={key: "sk-1234"}).problems
        assert "sk-1234" not in problem.message
        assert "(not shown)" in problem.message


def test_settings_that_are_no_object_are_a_problem() -> None:
    check(f"[1] from {CLIENT} is ignored: settings are an object of keys.", client=[1])


# Engines of the user's own.


def test_an_engine_is_defined_in_the_file_and_chosen_anywhere() -> None:
    toml = '[engines.mine]\nkind = "scripted"\nfile = "/answers.json"'
    for held in (
        settings(f'engine = "mine"\n{toml}'),
        settings(toml, {"TABBY_LSP_ENGINE": "mine"}),
        settings(toml, client={"engine": "mine"}),
        settings(toml, flags={"engine": "mine"}),
    ):
        assert held.engine == "mine"
        assert held.engines["mine"].kind == "scripted"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            'engine = "mine"',
            f'engine = "mine" from {FILE} is ignored: there is no engine of that name. '
            f"Give it one of local, or define it in {FILE} as [engines.NAME].",
        ),
        (
            '[engines.mine]\nkind = "scripted"',
            f"engines.mine = (a table) from {FILE} is ignored: it lacks file.",
        ),
        (
            '[engines.mine]\nkind = "magic"\nfile = "/f"',
            f'engines.mine.kind = "magic" from {FILE} is ignored: give it "openai" or '
            '"llama-server" or "ollama" or "tabby" or "scripted". '
            "The engine is left out.",
        ),
        (
            '[engines.local]\nkind = "scripted"\nfile = "/f"',
            f"engines.local = (a table) from {FILE} is ignored: its name is taken, or could be a "
            "path; give it another one.",
        ),
        (
            '[engines]\nmine = "scripted"',
            f'engines.mine = "scripted" from {FILE} is ignored: engines are tables '
            "[engines.NAME] of config.toml, each with a kind.",
        ),
        (
            "engines = 5",
            f"engines = 5 from {FILE} is ignored: engines are tables [engines.NAME] of "
            "config.toml, each with a kind.",
        ),
    ],
)
def test_an_engine_is_taken_whole_or_not_at_all(toml: str, message: str) -> None:
    check(message, toml)


def test_an_unknown_key_of_an_engine_does_no_harm() -> None:
    result = resolved('[engines.mine]\nkind = "scripted"\nfile = "/f"\nfil = 1')
    assert result.settings.engines.keys() == {"mine"}
    assert [problem.key for problem in result.problems] == ["engines.mine.fil"]
