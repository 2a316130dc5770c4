"""Engines of the user's own: what each kind takes, where keys come from, and that none is shown."""

from __future__ import annotations

import pytest

from tabby_lsp.config import EngineSettings, Settings, api_key_of
from tabby_lsp.domain import EngineError
from tests.config.user import FILE, resolved, settings

KEY = "sk-canary-5f3a"


def engine(lines: str, kind: str = "openai") -> EngineSettings:
    """The engine of a table with these lines and, for kinds that need one, an address."""
    url = 'url = "http://h"\n' if kind in ("openai", "tabby") and "url" not in lines else ""
    return settings(f'[engines.mine]\nkind = "{kind}"\n{url}{lines}').engines["mine"]


def check_refused(lines: str, message: str, kind: str = "openai") -> None:
    """The table has one mistake, of which this is said."""
    result = resolved(f'[engines.mine]\nkind = "{kind}"\n{lines}')
    assert [str(problem) for problem in result.problems] == [
        f"engines.mine{message.replace('FILE', FILE)}"
    ]


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("openai", 'url = "https://h:8000/v1"\nmodel = "m"\nfamily = "f"\napi_key = "k"'),
        ("llama-server", 'family = "f"\napi_key_env = "K"\ntimeout_ms = 500'),
        ("ollama", 'model = "qwen2.5-coder:1.5b-base"\nn_ctx = 16384'),
        ("tabby", 'url = "http://[::1]:8080"\nconnect_timeout_ms = 500'),
    ],
)
def test_each_kind_takes_what_it_needs(kind: str, lines: str) -> None:
    assert engine(lines, kind).kind == kind


@pytest.mark.parametrize("kind", ["openai", "tabby"])
def test_an_address_is_needed_where_it_cannot_be_guessed(kind: str) -> None:
    check_refused("", " = (a table) from FILE is ignored: it lacks url.", kind)


def test_what_a_kind_does_not_take_is_said_and_does_no_harm() -> None:
    toml = '[engines.mine]\nkind = "tabby"\nurl = "http://h"\nmodel = "m"'
    result = resolved(toml)
    assert result.settings.engines["mine"] == EngineSettings(kind="tabby", url="http://h")
    assert [str(problem) for problem in result.problems] == [
        f'engines.mine.model = "m" from {FILE} is ignored: an engine of kind tabby does not take '
        "it."
    ]


@pytest.mark.parametrize(
    "url",
    ["", "h", "h:8000", "ftp://h", "file:///etc/passwd", "http://", "http:///v1", "http://h:x",
     "http://h:99999", "http://h:0", "http://h/?a=b", "http://h/#a", "http://h h", "//h", "http:h",
     "http://h\\\\x", "http://ex\u0430mple.org", "unix:///run/x"],
)  # fmt: skip
def test_what_is_no_address_leaves_the_engine_out(url: str) -> None:
    result = resolved(f'[engines.mine]\nkind = "openai"\nurl = "{url}"')
    assert result.settings.engines == {}
    assert "give it an address such as http://127.0.0.1:8000" in str(result.problems[0])


@pytest.mark.parametrize("url", [f"http://u:{KEY}@h", f"{KEY}://u:{KEY}@h", f"u:{KEY}@h/v1",
                                 f"http://{KEY}:{KEY}/x@h"])  # fmt: skip
def test_a_password_in_an_address_is_refused_and_not_shown(url: str) -> None:
    result = resolved(f'[engines.mine]\nkind = "openai"\nurl = "{url}"')
    assert result.settings.engines == {}
    assert KEY not in str(result.problems[0])


# Keys.


def test_a_key_is_in_the_file_or_in_a_variable() -> None:
    assert api_key_of(engine(f'api_key = "{KEY}"'), {}) == KEY
    assert api_key_of(engine('api_key_env = "K"'), {"K": f"{KEY}\n"}) == KEY
    assert api_key_of(engine(f'api_key = "{KEY}"\napi_key_env = "K"'), {"K": "other"}) == KEY
    assert api_key_of(engine(""), {"OPENAI_API_KEY": "not asked for"}) == ""


@pytest.mark.parametrize("environ", [{}, {"K": ""}, {"K": " "}])
def test_a_variable_that_is_not_set_is_said(environ: dict[str, str]) -> None:
    with pytest.raises(EngineError, match=r"variable that `api_key_env` in config\.toml names"):
        api_key_of(engine('api_key_env = "K"'), environ)


def test_a_key_in_the_place_of_a_variables_name_is_not_shown() -> None:
    with pytest.raises(EngineError) as error:
        api_key_of(engine(f'api_key_env = "{KEY}"'), {})
    assert KEY not in str(error.value)


@pytest.mark.parametrize("key", [f"{KEY}\nX: y", f"{KEY} b", f"{KEY}é", f"a\r\n{KEY}", f"{KEY}\0"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(EngineError) as error:
        api_key_of(engine('api_key_env = "K"'), {"K": key})
    assert "copy it once more" in str(error.value)
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    "lines",
    [f'api_key = ["{KEY}"]', f'api_key_env = ["{KEY}"]', f'api-key = "{KEY}"', f'token = "{KEY}"',
     f'apikey = "{KEY}"', f'key = "{KEY}"', f'authorization = "Bearer {KEY}"',
     f'api_key = "{KEY}\\n"'],
)  # fmt: skip
def test_no_message_of_a_mistake_holds_a_key(lines: str) -> None:
    result = resolved(f'[engines.mine]\nkind = "openai"\nurl = "http://h"\n{lines}')
    assert len(result.problems) == 1
    assert KEY not in str(result.problems[0])


def test_settings_as_text_hold_no_key() -> None:
    held = settings(f'[engines.mine]\nkind = "openai"\nurl = "http://h"\napi_key = "{KEY}"')
    assert KEY not in repr(held)
    assert KEY not in repr(resolved(f'[engines.m]\nkind = "ollama"\napi_key = "{KEY}"'))


# What an editor may not do.


def test_a_server_from_an_editor_is_refused_without_its_keys() -> None:
    offered = {
        "kind": "openai",
        "url": "http://evil.example/v1",
        "timeout_ms": 500,
        "api_key": KEY,
        "api_key_env": "AWS_SECRET_ACCESS_KEY",
    }
    result = resolved(client={"engine": "mine", "engines": {"mine": offered}})
    assert result.settings == Settings()
    message = str(result.problems[0])
    assert message.endswith(
        '\n\n[engines.mine]\nkind = "openai"\nurl = "http://evil.example/v1"\ntimeout_ms = 500'
    )
    assert KEY not in message
    assert "AWS" not in message


def test_an_editor_cannot_change_a_part_of_the_users_engine() -> None:
    own = '[engines.mine]\nkind = "openai"\nurl = "http://h"\napi_key = "k"'
    for part in ({"url": "http://evil"}, {"url": "http://evil", "kind": "openai"}, {"model": "x"}):
        result = resolved(own, client={"engine": "mine", "engines": {"mine": part}})
        assert result.settings.engines["mine"].url == "http://h"
        assert result.settings.engines["mine"].model == ""
        assert "are refused" in str(result.problems[0])
        dotted = resolved(own, client={f"engines.mine.{key}": value for key, value in part.items()})
        assert dotted.settings.engines["mine"].url == "http://h"


def test_a_variable_of_the_environment_cannot_make_an_engine() -> None:
    environ = {"TABBY_LSP_ENGINES": '{"mine": {"kind": "ollama"}}'}
    assert resolved("", environ).settings.engines == {}
