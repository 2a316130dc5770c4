"""`tabby-lsp doctor`: each thing that it looks at, whole and broken."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

from tabby_lsp.cli import main
from tabby_lsp.commands import machine
from tabby_lsp.commands.machine import log_found, processor_found
from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama import library
from tabby_lsp.index import store
from tests.commands.person import FIM_TOKENS
from tests.models.chat_model import write_chat_model
from tests.models.model_files import STARTER

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.commands.person import Person

INTEL = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | AMX_INT8 = 1 | REPACK = 1 | "
APPLE = "Metal : EMBED_LIBRARY = 1 | CPU : NEON = 1 | ARM_FMA = 1 | ACCELERATE = 1 | "


def report(
    capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0
) -> dict[str, dict[str, Any]]:
    """What the doctor says, by what it is about."""
    capsys.readouterr()
    assert main(["doctor", "--json", *arguments]) == status
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)}


def test_a_whole_machine_is_looked_at_in_order(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(capsys)
    assert [*found] == [
        "tabby-lsp", "system", "settings", "log", "SQLite", "grammars", "servers here",
        "llama.cpp", "processor", "self-test", "engine host", "model", "SHA-256", "memory",
        "completion", "chat",
    ]  # fmt: skip
    assert {each["verdict"] for each in found.values()} == {"OK"}
    assert found["SHA-256"]["detail"] == "starter: SHA-256 as it should be"
    assert str(STARTER) in found["model"]["detail"]


def test_people_get_a_line_for_each(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(("OK    ", "      "))] == []
    assert len(lines) == 16


def test_every_setting_is_named_with_who_set_it(
    person: Person, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    person.config.parent.mkdir(parents=True)
    person.config.write_text("[completion]\nmax_tokens = 50\nmax_tokns = 3\n")
    monkeypatch.setenv("TABBY_LSP_LOG_LEVEL", "info")
    said = [each for each in map(str, _findings(capsys)) if "settings" in each]
    assert f"completion.max_tokens is set by {person.config}" in said[0]
    assert "log.level is set by environment variable TABBY_LSP_LOG_LEVEL" in said[0]
    assert "WARN" in said[1]
    assert "max_tokns" in said[1]


def test_the_settings_file_that_was_asked_for_is_the_one_that_is_named(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    own = person.home / "own.toml"
    own.write_text("[log]\nlevel = 'info'\n")
    said = report(capsys, "--config", str(own))["settings"]["detail"]
    assert said == f"{own}\n      log.level is set by {own}"


def test_a_model_that_a_flag_names_is_said_to_be_the_flags(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    said = report(capsys, "--model", "starter")["settings"]["detail"]
    assert "engine is set by --model" in said


def _findings(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    capsys.readouterr()
    main(["doctor", "--json"])
    findings: list[Any] = json.loads(capsys.readouterr().out)
    return findings


def test_a_model_that_is_not_there_is_said_once(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(capsys, "--model", "Qwen2.5-Coder-0.5B", status=1)
    failed = [each for each in found.values() if each["verdict"] == "FAIL"]
    assert [each["name"] for each in failed] == ["model"]
    assert "`tabby-lsp models pull Qwen2.5-Coder-0.5B`" in failed[0]["detail"]
    assert [*found][-2:] == ["model", "chat"]


def test_a_model_that_cannot_fill_in_is_no_model(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(capsys, "--model", str(person.puts("talker.gguf")), status=1)
    assert "is not for completion" in found["model"]["detail"]


def test_an_installed_model_with_another_hash_is_not_run(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    person.puts(".local/share/tabby-lsp/models/StarCoder-1B.gguf", tokens=FIM_TOKENS,
                architecture="qwen2")  # fmt: skip
    found = report(capsys, "--model", "starcoder-1b", status=1)
    assert found["SHA-256"]["verdict"] == "FAIL"
    assert "`tabby-lsp models remove StarCoder-1B`" in found["SHA-256"]["detail"]
    assert "completion" not in found


def test_a_file_of_ones_own_has_nothing_to_be_compared_with(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copy(STARTER, person.home / "own.gguf")
    found = report(capsys, "--model", str(own))
    assert "SHA-256" not in found
    assert found["completion"]["verdict"] == "OK"


def test_a_context_that_the_model_was_not_trained_for_is_said_before_it_is_loaded(
    person: Person, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABBY_LSP_LOCAL_N_CTX", "4096")
    found = report(capsys, status=1)
    assert found["memory"]["verdict"] == "FAIL"
    assert "4096" in found["memory"]["detail"]
    assert "completion" not in found


def test_without_llama_cpp_there_is_the_line_that_installs_it(
    person: Person, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise EngineError('install it with `pip install "tabby-lsp[local]"`.')

    monkeypatch.setattr(library, "opened", missing)
    found = report(capsys, status=1)
    assert found["llama.cpp"]["verdict"] == "FAIL"
    assert [*found][-2:] == ["llama.cpp", "chat"]


def test_the_processors_features_are_those_that_llama_cpp_was_built_for() -> None:
    found = processor_found(INTEL, is_safe=True)
    assert (found.verdict, found.detail) == ("OK", "llama.cpp uses SSE3 AVX AVX2 AMX_INT8 REPACK")
    assert processor_found(INTEL, is_safe=False).detail.endswith("; AMX kernels off, they crash")
    assert processor_found(APPLE, is_safe=True).verdict == "OK"


def test_a_build_for_every_processor_of_25_years_is_slow() -> None:
    found = processor_found("CPU : SSE3 = 1 | LLAMAFILE = 1 | ", is_safe=True)
    assert found.verdict == "WARN"
    assert "without AVX2" in found.detail
    assert "--force-reinstall" in found.remedy


def test_a_log_file_is_looked_at_and_not_made(tmp_path: Path) -> None:
    new = tmp_path / "new" / "folder" / "tabby.log"
    assert log_found(str(new)).verdict == "OK"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert log_found(str(tmp_path / "file")).verdict == "OK"
    os.mkfifo(tmp_path / "pipe")
    for unfit in (tmp_path, tmp_path / "file" / "tabby.log", tmp_path / "pipe"):
        found = log_found(str(unfit))
        assert (found.verdict, found.detail) == ("FAIL", f"{unfit} cannot be written")
        assert "`log.file`" in found.remedy


def test_sqlite_searches_text_here() -> None:
    assert store.can_search_text()


def test_an_sqlite_without_search_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("no such module: fts5")

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda name: connect(name, factory=Bare))
    assert not store.can_search_text()
    found = machine.sqlite_found()
    assert (found.verdict, "without the search" in found.detail) == ("WARN", True)
    assert "uv python install" in found.remedy


def test_a_grammar_that_does_not_load_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.grammars_found().detail == "tree-sitter reads python"
    monkeypatch.setattr(machine, "parsed", lambda *_: None)
    found = machine.grammars_found()
    assert found.verdict == "WARN"
    assert "pip install --force-reinstall tree-sitter tree-sitter-python" in found.remedy


def test_a_chat_model_is_asked(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    assert "models pull" in report(capsys)["chat"]["detail"]
    path = write_chat_model(person.home / "talker.gguf")
    person.config.parent.mkdir(parents=True)
    person.config.write_text(f'[chat]\nmodel = "{path}"\n')
    assert report(capsys)["chat"]["verdict"] == "OK"
    person.config.write_text(f'[chat]\nmodel = "{STARTER}"\n')
    failed = report(capsys, status=1)["chat"]
    assert (failed["verdict"], "no chat template" in failed["detail"]) == ("FAIL", True)
