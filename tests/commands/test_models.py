"""`tabby-lsp models` as a person types it: what it says, what it changes, and how it ends."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants

from tabby_lsp.cli import main
from tabby_lsp.models import catalog
from tests.commands.person import FIM_TOKENS, check_refused
from tests.models.hub import Hub
from tests.models.model_files import STARTER, write_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.commands.person import Person


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def offers(hub: Hub, person: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[catalog.Entry]:
    """A hub and a catalogue with one model, which can complete."""
    content = person.puts("to offer.gguf", tokens=FIM_TOKENS, architecture="qwen2").read_bytes()
    entry, _ = hub.offer("Tiny-Coder", content)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    (person.home / "catalog.toml").write_text(
        "[[model]]\n"
        + "".join(f'{key} = "{getattr(entry, key)}"\n' for key in catalog.Entry.__slots__)
    )
    monkeypatch.setattr(catalog, "CATALOG", person.home / "catalog.toml")
    catalog.entries.cache_clear()
    yield entry
    catalog.entries.cache_clear()


def test_from_nothing_to_another_model(person: Person, offers: catalog.Entry) -> None:
    check_refused(person.types("use", "Tiny-Coder"), "tabby-lsp models pull Tiny-Coder")
    assert not person.config.exists()
    said = person.types("pull", "tiny-coder")
    file = person.models / "Tiny-Coder.gguf"
    assert said.status == 0
    assert said.out == (
        f"Tiny-Coder is installed: {file}\nChoose it with: tabby-lsp models use Tiny-Coder\n"
    )
    assert person.types("use", "TINY-coder").status == 0
    assert person.config.read_text() == 'model = "Tiny-Coder"\n'
    assert person.types("path", "tiny-coder").out == f"{file}\n"
    assert person.types("verify", "tiny-coder").out == "OK    Tiny-Coder: SHA-256 as it should be\n"
    assert person.list()["Tiny-Coder"]["in_use"]
    assert person.types("remove", "Tiny-Coder").out == f"{file} is deleted\n"
    assert not file.exists()
    assert person.list()["Tiny-Coder"]["place"] == "catalogue"


def test_tabbys_own_command_fetches_a_model(person: Person, offers: catalog.Entry) -> None:
    assert main(["download", "--model", "Tiny-Coder"]) == 0
    assert (person.models / "Tiny-Coder.gguf").exists()


def test_a_name_that_nobody_knows(person: Person) -> None:
    check_refused(person.types("pull", "starcoder1b"), "did you mean StarCoder-1B?", "models list")
    check_refused(person.types("pull", "../../x"), "is not in the catalogue")
    for action in ("use", "path", "remove", "verify"):
        check_refused(person.types(action, "nothing"), "there is no model 'nothing'")


def test_the_starter_is_always_there(person: Person) -> None:
    starter = person.list()["starter"]
    assert (starter["place"], starter["in_use"], starter["role"]) == (
        "installed",
        True,
        "completion",
    )
    assert person.types("path", "starter").out == f"{STARTER}\n"
    assert person.types("verify").out == "OK    starter: SHA-256 as it should be\n"
    assert person.types("use", "starter").status == 0
    check_refused(person.types("remove", "starter"), "is part of the program")


def test_the_list_for_people(person: Person) -> None:
    person.puts(".lmstudio/models/a/b/own.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    said = person.types("list")
    assert said.out.startswith("Installed (tabby-lsp models use NAME)\n* starter ")
    assert "Of other programs on this machine" in said.out
    assert "LM Studio, " in said.out
    assert "To be had (tabby-lsp models pull NAME)" in said.out
    assert "  StarCoder-1B " in said.out
    assert "BigCode-OpenRAIL-M, TabbyML/models" in said.out


def test_what_others_have_is_listed_with_what_it_can_do(person: Person) -> None:
    person.puts(".lmstudio/models/a/b/coder.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    person.puts(".lmstudio/models/a/b/talker.gguf")
    (person.home / ".lmstudio/models/a/b/broken.gguf").write_text("GGUF")
    models = person.list()
    assert {name: models[name]["role"] for name in ("coder", "talker", "broken")} == {
        "coder": "completion",
        "talker": "no FIM",
        "broken": "unusable",
    }
    assert models["coder"]["source"] == "LM Studio"
    assert models["coder"]["size_bytes"] > 0


def test_a_model_of_another_program_is_used_where_it_lies(person: Person) -> None:
    path = person.puts(".lmstudio/models/a/b/coder.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    said = person.types("use", "coder")
    assert said.status == 0
    assert person.config.read_text() == f'model = "{path}"\n'
    assert person.list()["coder"]["in_use"]
    assert not person.list()["starter"]["in_use"]


def test_ollamas_names_can_be_used(person: Person) -> None:
    model = person.puts("m.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    store, digest = person.home / ".ollama/models", "ab" * 32
    blob = store / "blobs" / f"sha256-{digest}"
    manifest = store / "manifests/registry.ollama.ai/library/coder/1b"
    for path in (blob, manifest):
        path.parent.mkdir(parents=True)
    shutil.move(model, blob)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
    manifest.write_text(json.dumps({"layers": [layer]}))
    assert person.types("use", "coder:1b").status == 0
    assert person.config.read_text() == f'model = "{blob}"\n'


def test_a_chat_model_has_its_own_setting(person: Person) -> None:
    template = {"tokenizer.chat_template": "{{ messages[0].content }}"}
    path = person.puts(".lmstudio/models/a/b/talker.gguf", metadata=template)
    assert person.list()["talker"]["role"] == "chat"
    said = person.types("use", "talker")
    assert said.status == 0, said.err
    assert f"chat.model = {path}" in said.out
    assert person.config.read_text() == f'[chat]\nmodel = "{path}"\n'
    models = person.list()
    assert models["talker"]["in_use"]
    assert models["starter"]["in_use"]


def test_a_model_that_can_do_both_is_for_completing_unless_it_is_wanted_for_chat(
    person: Person,
) -> None:
    template = {"tokenizer.chat_template": "{{ messages[0].content }}"}
    path = person.puts("both.gguf", tokens=FIM_TOKENS, architecture="qwen2", metadata=template)
    assert person.types("use", str(path)).status == 0
    assert person.types("use", str(path), "--chat").status == 0
    assert person.config.read_text() == f'model = "{path}"\n\n[chat]\nmodel = "{path}"\n'


def test_a_name_that_no_setting_may_have_is_refused_before_it_is_written(person: Person) -> None:
    path = person.puts("a\nb.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    check_refused(person.types("use", str(path)), "rename it")
    assert not person.config.exists()


def test_a_model_without_a_template_is_not_for_chat(person: Person) -> None:
    path = person.puts("coder.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    check_refused(person.types("use", str(path), "--chat"), "no chat template")
    assert not person.config.exists()


def test_a_chat_model_of_the_engine_here_takes_the_place_of_a_server(person: Person) -> None:
    template = {"tokenizer.chat_template": "{{ messages[0].content }}"}
    path = person.puts("talker.gguf", metadata=template)
    person.config.parent.mkdir(parents=True)
    person.config.write_text('[engines.gpu]\nkind = "ollama"\n[chat]\nengine = "gpu"\n')
    said = person.types("use", str(path))
    assert "chat.engine = local, was gpu" in said.out
    assert f'[chat]\nmodel = "{path}"\nengine = "local"\n' in person.config.read_text()


def test_one_name_in_two_places_is_asked_back(person: Person) -> None:
    first = person.puts(".lmstudio/models/m.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    second = person.puts(".cache/llama.cpp/m.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    check_refused(person.types("use", "m"), "give one of the paths", str(first), str(second))
    assert person.types("use", str(second)).status == 0
    assert person.config.read_text() == f'model = "{second}"\n'


def test_a_relative_path_is_written_in_full(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.puts("here/m.gguf", tokens=FIM_TOKENS, architecture="qwen2")
    monkeypatch.chdir(path.parent)
    assert person.types("use", "m.gguf").status == 0
    assert person.config.read_text() == f'model = "{path}"\n'
    assert person.types("use", "~/here/m.gguf").status == 0
    assert person.config.read_text() == f'model = "{path}"\n'


def test_a_model_that_cannot_complete_is_refused_with_the_reason(person: Person) -> None:
    person.config.parent.mkdir(parents=True)
    person.config.write_text('# mine\nmodel = "starter"\n')
    talker = person.puts("talker.gguf")
    check_refused(person.types("use", str(talker)), str(talker), "is not for completion")
    check_refused(person.types("use", str(person.home / "no.gguf")), "there is no file")
    (person.home / "page.gguf").write_text("<!doctype html>")
    check_refused(person.types("use", str(person.home / "page.gguf")), "a web page")
    assert person.config.read_text() == '# mine\nmodel = "starter"\n'


def test_the_rest_of_the_settings_stays(person: Person) -> None:
    person.config.parent.mkdir(parents=True)
    person.config.write_text('# mine\nmodel = "other" # old\n[log]\nlevel = "error"\n')
    assert person.types("use", "starter").status == 0
    assert person.config.read_text() == '# mine\nmodel = "starter" # old\n[log]\nlevel = "error"\n'


def test_another_settings_file_is_written_where_it_is_named(person: Person) -> None:
    own = person.home / "own.toml"
    own.write_text("")
    assert person.types("use", "starter", "--config", str(own)).status == 0
    assert own.read_text() == 'model = "starter"\n'
    assert not person.config.exists()


def test_a_settings_file_that_is_none_is_not_touched(person: Person) -> None:
    person.config.parent.mkdir(parents=True)
    person.config.write_text("model = \n")
    said = person.types("use", "starter")
    assert said.status == 2
    assert str(person.config) in said.err
    assert person.config.read_text() == "model = \n"


def test_what_stands_over_the_settings_is_said(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABBY_LSP_MODEL", "other")
    said = person.types("use", "starter")
    assert said.status == 0
    assert said.err == "environment variable TABBY_LSP_MODEL stands over it: other\n"


def test_a_damaged_model_is_found(person: Person, offers: catalog.Entry) -> None:
    assert person.types("pull", "Tiny-Coder").status == 0
    file = person.models / "Tiny-Coder.gguf"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    said = person.types("verify")
    assert said.status == 1
    assert "OK    starter" in said.out
    assert f"FAIL  Tiny-Coder: {file} has SHA-256 " in said.out
    assert "`tabby-lsp models remove Tiny-Coder`" in said.out
    check_refused(person.types("pull", "Tiny-Coder"), "models remove Tiny-Coder", "pull again")
    assert person.types("remove", "Tiny-Coder").status == 0
    assert person.types("pull", "Tiny-Coder").status == 0
    file.write_bytes(content[:-100])
    said = person.types("verify", "Tiny-Coder")
    assert said.status == 1
    assert "FAIL  Tiny-Coder: " in said.out


def test_a_file_of_ones_own_is_read_and_hashed(person: Person) -> None:
    person.models.mkdir(parents=True)
    write_model(person.models / "own.gguf")
    said = person.types("verify", "own")
    assert said.status == 0
    assert said.out.startswith("OK    own: readable; not in the catalogue; SHA-256 ")


def test_only_installed_models_are_deleted(person: Person) -> None:
    path = person.puts(".lmstudio/models/m.gguf")
    check_refused(person.types("remove", str(path)), "is a path")
    check_refused(person.types("remove", "m"), "there is no model 'm'")
    assert path.exists()


def test_what_is_left_of_a_pull_is_deleted_too(person: Person, offers: catalog.Entry) -> None:
    part = person.models / ".parts" / f"{offers.sha256}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"GGUF")
    said = person.types("remove", "Tiny-Coder")
    assert said.status == 0
    assert said.out == "what was fetched of Tiny-Coder is deleted\n"
    assert not part.exists()
    check_refused(person.types("remove", "Tiny-Coder"), "is not installed")


def test_a_model_that_turns_texts_into_vectors_is_not_proposed_for_use(
    person: Person, offers: catalog.Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = person.home / "catalog.toml"
    file.write_text(file.read_text().replace('"completion"', '"embedding"'))
    catalog.entries.cache_clear()
    assert catalog.entries() == (replace(offers, role="embedding"),)
    assert "Choose it with" not in person.types("pull", "Tiny-Coder").out


@pytest.mark.parametrize("arguments", [(), ("pull",), ("use",), ("juggle",), ("list", "--no")])
def test_a_wrong_call(person: Person, arguments: tuple[str, ...]) -> None:
    assert person.types(*arguments).status == 2
