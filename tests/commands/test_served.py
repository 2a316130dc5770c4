"""`tabby-lsp models` with an Ollama or a llama-server that runs on this machine."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.config import read_user_file, resolve
from tabby_lsp.engines.remote import running
from tests.commands.person import FIM_TOKENS, check_refused
from tests.engines.scripted_server import ScriptedServer, line, reply, stream
from tests.engines.test_llama_server import ANSWER, QWEN, STARCODER, llama_server
from tests.engines.test_ollama import LINES, ollama

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.commands.person import Person
    from tests.engines.scripted_server import Asked

    Starts = Callable[..., str]

CODER, TALKER, OLD = "qwen2.5-coder:1.5b-base", "llama3:8b", "old-coder:latest"


def ollama_with_three(asked: Asked) -> Iterable[bytes]:
    """As Ollama answers of a model for code, of one for chat, and as one of 2023 of its own."""
    if asked.path == "/api/show" and asked.body["model"] == TALKER:
        return reply({"template": "{{ .Prompt }}", "capabilities": ["completion", "tools"]})
    if asked.path == "/api/show" and asked.body["model"] == OLD:
        return reply({"template": "<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID>"})
    answer: Iterable[bytes] = ollama("a", " + b", names=(CODER, TALKER, OLD))(asked)
    return answer


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Starts]:
    """Starts a server of a kind at a usual place, and says where."""
    places: list[tuple[str, str]] = []
    monkeypatch.setattr(running, "PLACES", places)
    with ExitStack() as servers:

        def start(kind: str, answer: Any) -> str:
            server = servers.enter_context(ScriptedServer(answer))
            places.append((kind, server.url))
            return server.url

        yield start


def test_the_list_has_what_runs_and_what_it_can_do(person: Person, starts: Starts) -> None:
    url = starts("ollama", ollama_with_three)
    starts("llama-server", llama_server(vocabulary=STARCODER))
    models = {name: each for name, each in person.list().items() if each["place"] == "served"}
    assert {name: each["role"] for name, each in models.items()} == {
        f"ollama:{CODER}": "completion",
        f"ollama:{TALKER}": "chat",
        f"ollama:{OLD}": "completion",
        "llama-server:qwen.gguf": "completion",
    }
    assert models[f"ollama:{CODER}"]["source"] == f"Ollama at {url}"
    assert not any(each["in_use"] for each in models.values())
    said = person.types("list").out
    assert "\nRun by other programs just now (tabby-lsp models use NAME)\n  ollama:qwen" in said


def test_a_vocabulary_without_the_tokens_cannot_fill_in(person: Person, starts: Starts) -> None:
    starts("llama-server", llama_server(vocabulary={"<|im_start|>": 900_001}))
    assert person.list()["llama-server:qwen.gguf"]["role"] == "chat"


def test_what_a_server_does_not_say_is_not_known(person: Person, starts: Starts) -> None:
    props = {"default_generation_settings": {"n_ctx": 4096}, "model_path": ""}
    starts("llama-server", lambda a: reply(props) if a.path == "/props" else reply({}, 500))
    assert person.list()["llama-server"]["role"] == "unknown"


def test_a_model_of_ollama_is_asked_and_written(person: Person, starts: Starts) -> None:
    url = starts("ollama", ollama_with_three)
    said = person.types("use", f"ollama:{CODER.upper()}")
    assert said.status == 0, said.err
    assert "it says `return a + b` in " in said.out
    assert f"{person.config} now has engine = ollama (model = {CODER})\n" in said.out
    assert person.config.read_text() == (
        f'engine = "ollama"\n\n[engines.ollama]\nkind = "ollama"\nurl = "{url}"\n'
        f'model = "{CODER}"\n'
    )
    resolved = resolve([read_user_file(person.config)])
    assert (resolved.settings.engine, resolved.problems) == ("ollama", ())
    models = person.list()
    assert models[f"ollama:{CODER}"]["in_use"]
    assert not models[f"ollama:{OLD}"]["in_use"]
    assert not models["starter"]["in_use"]


def test_an_address_that_is_the_usual_one_is_not_written(
    person: Person, starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = starts("ollama", ollama_with_three)
    for module in ("ollama.URL", "engine.OLLAMA_URL"):
        monkeypatch.setattr(f"tabby_lsp.engines.remote.{module}", url)
    assert person.types("use", f"ollama:{CODER}").status == 0
    assert tomllib.loads(person.config.read_text())["engines"] == {
        "ollama": {"kind": "ollama", "model": CODER}
    }


def test_a_plain_name_is_found_where_nothing_else_has_it(person: Person, starts: Starts) -> None:
    url = starts("llama-server", llama_server(*ANSWER, vocabulary=QWEN))
    assert person.types("use", "qwen.gguf").status == 0
    assert tomllib.loads(person.config.read_text()) == {
        "engine": "llama-server",
        "engines": {"llama-server": {"kind": "llama-server", "url": url}},
    }
    assert person.list()["llama-server:qwen.gguf"]["in_use"]


def test_a_file_goes_before_what_runs_under_its_name(person: Person, starts: Starts) -> None:
    starts("llama-server", llama_server(*ANSWER, vocabulary=QWEN))
    path = person.puts(".lmstudio/models/a/qwen.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    assert person.types("use", "qwen").status == 0
    assert person.config.read_text() == f'model = "{path}"\n'
    check_refused(person.types("use", "Qwen2.5-Coder-0.5B"), "models pull")


@pytest.mark.parametrize("name", ["llama-server", "LLAMA-SERVER:", "qwen.gguf"])
def test_two_servers_are_told_apart_by_their_addresses(
    person: Person, starts: Starts, name: str
) -> None:
    first, second = (
        starts("llama-server", llama_server(*ANSWER, vocabulary=QWEN)) for _ in range(2)
    )
    check_refused(person.types("use", name), "KIND:ADDRESS", first, second)
    assert person.types("use", f"llama-server:{second}").status == 0
    assert f'url = "{second}"' in person.config.read_text()


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        (f"ollama:{TALKER}", f"ollama:{TALKER} cannot chat:"),
        ("ollama:nothing", "no Ollama on this machine has nothing: start it"),
        ("llama-server", "no llama-server on this machine has a model: start it"),
        ("nothing", "there is no model 'nothing'"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_written(
    person: Person, starts: Starts, name: str, phrase: str
) -> None:
    starts("ollama", ollama_with_three)
    said = person.types("use", name)
    assert (said.status, said.out) == (1, "")
    assert phrase in said.err
    assert not person.config.exists()


def test_a_llama_server_that_refuses_to_fill_in_is_refused(person: Person, starts: Starts) -> None:
    """As it answers for a model without the tokens."""
    message = "Infill is not supported by this model: no prefix token"
    refusal = {"error": {"code": 501, "message": message, "type": "not_supported_error"}}
    base = llama_server(vocabulary=STARCODER)

    def serve(asked: Asked) -> Iterable[bytes]:
        answer: Iterable[bytes] = reply(refusal, 501) if asked.path == "/infill" else base(asked)
        return answer

    starts("llama-server", serve)
    check_refused(
        person.types("use", "llama-server"),
        "llama-server:qwen.gguf cannot complete code:",
        "(501: Infill is not supported by this model",
    )


def test_a_model_for_chat_has_a_table_of_its_own(person: Person, starts: Starts) -> None:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path == "/api/chat":
            said = {"message": {"role": "assistant", "content": "Hello"}, "done": False}
            end = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
            return stream([line(said), line(end)], LINES)
        return ollama_with_three(asked)

    url = starts("ollama", serve)
    assert person.types("use", f"ollama:{CODER}").status == 0
    said = person.types("use", f"ollama:{TALKER}")
    assert said.status == 0, said.err
    assert "it says `Hello` in " in said.out
    assert tomllib.loads(person.config.read_text()) == {
        "engine": "ollama",
        "engines": {
            "ollama": {"kind": "ollama", "url": url, "model": CODER},
            "ollama-chat": {"kind": "ollama", "url": url, "model": TALKER},
        },
        "chat": {"engine": "ollama-chat"},
    }
    models = person.list()
    assert models[f"ollama:{CODER}"]["in_use"]
    assert models[f"ollama:{TALKER}"]["in_use"]


def test_the_rest_of_the_file_stays_and_another_model_takes_the_firsts_place(
    person: Person, starts: Starts
) -> None:
    url = starts("ollama", ollama_with_three)
    person.config.parent.mkdir(parents=True)
    person.config.write_text(
        '# mine\nengine = "local" # for now\nmodel = "starter"\n\n[engines.ollama] # here\n'
        f"kind = 'ollama'\nurl = '{url}/'\nmodel = 'old' # slow\ntimeout_ms = 9000\n\n[log]\n"
    )
    said = person.types("use", f"ollama:{CODER}")
    assert said.status == 0, said.err
    assert f"(model = {CODER}, was old)" in said.out
    assert person.config.read_text() == (
        '# mine\nengine = "ollama" # for now\nmodel = "starter"\n\n[engines.ollama] # here\n'
        f"kind = 'ollama'\nurl = '{url}/'\nmodel = \"{CODER}\" # slow\ntimeout_ms = 9000\n\n[log]\n"
    )


@pytest.mark.parametrize(
    "table", ['kind = "openai"\nurl = "http://127.0.0.1:9"', 'kind = "ollama"\nurl = "http://a:1"']
)
def test_a_table_about_another_server_is_left_alone(
    person: Person, starts: Starts, table: str
) -> None:
    starts("ollama", ollama_with_three)
    person.config.parent.mkdir(parents=True)
    before = f"[engines.ollama]\n{table}\n"
    person.config.write_text(before)
    check_refused(person.types("use", f"ollama:{CODER}"), "has another [engines.ollama]")
    assert person.config.read_text() == before


def test_a_file_whose_form_cannot_be_changed_is_answered_with_the_lines(
    person: Person, starts: Starts
) -> None:
    starts("ollama", ollama_with_three)
    person.config.parent.mkdir(parents=True)
    before = 'engines = {other = {kind = "llama-server"}}\n'
    person.config.write_text(before)
    said = person.types("use", f"ollama:{CODER}")
    check_refused(said, 'above its first [section]: engine = "ollama"; and at its end:\n')
    assert '[engines.ollama]\nkind = "ollama"\nurl = "http://127.0.0.1:' in said.err
    assert person.config.read_text() == before


def test_a_file_of_ones_own_takes_the_engine_back(person: Person, starts: Starts) -> None:
    starts("ollama", ollama_with_three)
    assert person.types("use", f"ollama:{CODER}").status == 0
    said = person.types("use", "starter")
    assert said.out == (
        f"{person.config} now has model = starter, and engine = local, was ollama\n"
    )
    values = tomllib.loads(person.config.read_text())
    assert (values["engine"], values["model"]) == ("local", "starter")
    assert values["engines"]["ollama"]["model"] == CODER
    assert person.list()["starter"]["in_use"]


def test_the_environment_stands_over_an_engine_too(
    person: Person, starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts("ollama", ollama_with_three)
    monkeypatch.setenv("TABBY_LSP_ENGINE", "local")
    said = person.types("use", f"ollama:{CODER}")
    assert said.status == 0
    assert said.err.endswith("environment variable TABBY_LSP_ENGINE stands over it: local\n")
