"""Each source of settings goes over the one before, in whatever way it spells its keys."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.config import KEYS, Key, Settings, client_source, resolve
from tabby_lsp.config.source import variable
from tests.config.user import CLIENT, FILE, resolved, settings

if TYPE_CHECKING:
    from collections.abc import Mapping


# What is said where, and which of it holds.


def test_without_any_source_the_defaults_hold() -> None:
    assert resolve([]).settings == settings() == Settings()
    assert settings().model == "starter"


def test_each_source_goes_over_the_one_before() -> None:
    file = "[completion]\nmax_tokens = 11"
    environ = {"TABBY_LSP_COMPLETION_MAX_TOKENS": "12"}
    client = {"completion": {"maxTokens": 13}}
    flags = {"completion.max_tokens": 14}
    assert settings(file).completion.max_tokens == 11
    assert settings(file, environ).completion.max_tokens == 12
    assert settings(file, environ, client).completion.max_tokens == 13
    assert settings(file, environ, client, flags).completion.max_tokens == 14


def test_origins_tell_who_set_a_key() -> None:
    result = resolved(
        'model = "a"\nengine = "mine"\n[engines.mine]\nkind = "scripted"\nfile = "/f"',
        {"TABBY_LSP_LOCAL_N_CTX": "512"},
        {"stats.enabled": False},
        {"log.level": "info"},
    )
    assert result.origins == {
        "model": FILE,
        "engine": FILE,
        "engines.mine": FILE,
        "local.n_ctx": "environment variable TABBY_LSP_LOCAL_N_CTX",
        "stats.enabled": CLIENT,
        "log.level": "--log-level",
    }


def valid(key: Key) -> st.SearchStrategy[Any]:
    if key.choices:
        return st.sampled_from(key.choices)
    names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": st.integers(key.about.minimum, key.about.maximum),
        "string": names,
        "array": st.lists(names, max_size=3),
    }
    return strategies[key.type]


FREE = [key for key in KEYS.values() if key.about.from_client and not key.about.is_engine]
VALUES = st.fixed_dictionaries({}, optional={key.name: valid(key) for key in FREE})


@given(file=VALUES, environ=VALUES, client=VALUES, flags=VALUES)
def test_the_last_source_that_sets_a_key_wins(
    file: dict[str, Any], environ: dict[str, Any], client: dict[str, Any], flags: dict[str, Any]
) -> None:
    result = resolved(
        "\n".join(f"{key} = {json.dumps(value)}" for key, value in file.items()),
        {variable(key): in_environment(value) for key, value in environ.items()},
        nested({camel_case(key): value for key, value in client.items()}),
        flags,
    )
    environ = {key: value for key, value in environ.items() if value != []}
    assert result.problems == ()
    for key in FREE:
        expected = ({key.name: key.default} | file | environ | client | flags)[key.name]
        found = value_of(result.settings, key.name)
        assert found == (tuple(expected) if isinstance(expected, list) else expected)
    assert result.origins.keys() == file.keys() | environ.keys() | client.keys() | flags.keys()


def value_of(tree: Settings, key: str) -> object:
    value: object = tree
    for part in key.split("."):
        value = getattr(value, part)
    return value


def in_environment(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def camel_case(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(other.capitalize() for other in others)


def nested(values: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[name] = value
    return tree


def test_every_key_has_its_own_environment_variable() -> None:
    assert len({variable(name) for name in KEYS}) == len(KEYS)


# How a client may spell it.


@pytest.mark.parametrize(
    "client",
    [
        {"completion": {"max_tokens": 7}},
        {"completion": {"maxTokens": 7}},
        {"completion.maxTokens": 7},
        {"completion.max_tokens": 7.0},
        {"tabby-lsp": {"completion": {"maxTokens": 7}}},
        {"tabby-lsp": {"completion.maxTokens": 7}},
        {"tabby-lsp.completion.maxTokens": 7},
        {"tabby-lsp.completion": {"maxTokens": 7}},
        {"tabbyLsp": {"completion": {"maxTokens": 7}}, "python": {"analysis": {}}},
    ],
    ids=json.dumps,
)
def test_a_client_may_nest_or_dot_in_either_case_with_or_without_the_section(
    client: object,
) -> None:
    assert settings(client=client).completion.max_tokens == 7


def test_null_from_a_client_means_not_set() -> None:
    client = {"model": None, "completion": None, "local": {"n_ctx": None}, "tabbyLsp": None}
    assert settings('model = "mine"', client=client).model == "mine"
    assert settings(client={"tabby-lsp": None}) == settings(client=None) == Settings()


def test_pushed_settings_of_other_servers_are_not_ours() -> None:
    pushed = {"python": {"analysis": {}}, "gopls": {"staticcheck": True}}
    assert resolve([client_source(pushed, "didChangeConfiguration")]).problems == ()
    pushed = {"completion": {"enabled": False}}
    unsectioned = resolve([client_source(pushed, "didChangeConfiguration")])
    assert not unsectioned.settings.completion.enabled
    sectioned = resolve([client_source({"tabby-lsp": {"modle": 1}}, "didChangeConfiguration")])
    assert len(sectioned.problems) == 1


# How the environment and flags spell it.


def test_text_in_the_environment_is_read_by_the_type_of_the_key() -> None:
    held = settings(
        environ={
            "TABBY_LSP_COMPLETION_ENABLED": "no",
            "TABBY_LSP_COMPLETION_DISABLED_LANGUAGES": "markdown, plaintext,",
            "TABBY_LSP_LOCAL_N_THREADS": " 4 ",
            "TABBY_LSP_LOG_LEVEL": "debug",
            "TABBY_LSP_MODEL": "",
            "TABBY_LSPX": "of another program",
        }
    )
    assert not held.completion.enabled
    assert held.completion.disabled_languages == ("markdown", "plaintext")
    assert (held.local.n_threads, held.log.level, held.model) == (4, "debug", "starter")


def test_a_flag_that_is_not_given_sets_nothing() -> None:
    assert settings(flags={"model": None, "log.level": None}) == Settings()


# Paths.


def test_a_relative_path_starts_at_the_folder_of_the_file_that_names_it() -> None:
    held = settings(
        'model = "models/m.gguf"\nengine = "e"\n[log]\nfile = "l.log"\n'
        '[engines.e]\nkind = "scripted"\nfile = "a.json"'
    )
    folder = Path(FILE).parent
    assert Path(held.model) == folder / "models/m.gguf"
    assert Path(held.log.file) == folder / "l.log"
    assert Path(held.engines["e"].file) == folder / "a.json"


def test_a_tilde_is_the_users_home() -> None:
    held = settings('model = "~/m.gguf"', flags={"log.file": "~/l.log"})
    assert Path(held.model) == Path.home() / "m.gguf"
    assert Path(held.log.file) == Path.home() / "l.log"


def test_a_relative_path_in_the_environment_starts_at_the_present_folder() -> None:
    held = settings(environ={"TABBY_LSP_MODEL": "m.gguf"})
    assert Path(held.model) == Path.cwd() / "m.gguf"


def test_a_name_is_no_path() -> None:
    assert settings('model = "qwen2.5-coder:0.5b"').model == "qwen2.5-coder:0.5b"


# The tree itself.


def test_every_setting_has_a_sentence_and_a_default_that_it_takes() -> None:
    for key in KEYS.values():
        assert key.about.doc.endswith("."), key.name
        spelled = in_environment(
            list(key.default) if isinstance(key.default, tuple) else key.default
        )
        if key.type != "object":
            assert settings(environ={variable(key.name): spelled}) == Settings()
    assert {key.partition(".")[0] for key in KEYS} == {field.name for field in fields(Settings)}
