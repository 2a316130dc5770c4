"""The commands, as a person types them."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tabby_lsp
from tests.e2e.wire import isolated_environment

CODE = (
    "class Point:\n"
    "    def __init__(self, width, height):\n"
    "        self.width = width\n"
    "        self.height\n"
    "\n"
    "    def area(self):\n"
    "        return self.width * self.height\n"
)


def tabby(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tabby_lsp", *arguments],
        env=isolated_environment(home) | variables,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip


def complete(home: Path, text: str, place: str) -> dict[str, Any]:
    path = home / "point.py"
    path.write_bytes(text.encode())
    run = tabby(home, "complete", f"{path}:{place}", "--json")
    assert run.returncode == 0, run.stderr
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def test_a_completion_is_printed(home: Path) -> None:
    (home / "point.py").write_text(CODE)
    run = tabby(home, "complete", "point.py:4:20")

    assert (run.stdout, run.returncode) == (" = height\n", 0)


def test_as_json_it_says_what_it_replaces_and_what_it_cost(home: Path) -> None:
    answer = complete(home, CODE, "4:20")
    place = {"line": 3, "character": 19}
    timings = answer["timings"]

    assert answer["text"] == " = height"
    assert answer["range"] == {"start": place, "end": place}
    assert timings["n_prompt_tokens"] == timings["n_reused_tokens"] + timings["n_evaluated_tokens"]
    assert timings["n_generated_tokens"] > 0


@pytest.mark.parametrize(
    ("text", "place"),
    [(CODE.replace("\n", "\r\n"), "4:20"), ("x = '😀'\n" + CODE, "5:20")],
    ids=["CRLF", "after an emoji"],
)
def test_put_in_place_it_is_python(home: Path, text: str, place: str) -> None:
    answer = complete(home, text, place)
    lines = text.splitlines(keepends=True)
    start, end = answer["range"]["start"], answer["range"]["end"]
    line = lines[start["line"]]
    lines[start["line"]] = line[: start["character"]] + answer["text"] + line[end["character"] :]

    assert answer["text"] == " = height"
    ast.parse("".join(lines))


@pytest.mark.parametrize("step", ["    ", "  ", "\t"], ids=["four", "two", "tab"])
def test_a_block_comes_in_the_steps_of_the_document(home: Path, step: str) -> None:
    """The starter was trained on four blanks, and is asked and answers in them."""
    code = CODE + CODE.replace("Point", "Place") + "\n    def perimeter(self):"
    text = code.replace("    ", step)
    answer = complete(home, text + "\n", f"{text.count(chr(10)) + 1}:{len(step) + 21}")

    assert answer["text"].startswith(f"\n{step}{step}return ")
    ast.parse(text + answer["text"])


def test_nothing_to_suggest_is_no_error(home: Path) -> None:
    (home / "notes.md").write_text("# Notes\n")
    run = tabby(home, "complete", "notes.md:1:8")

    assert (run.stdout, run.returncode) == ("", 0)
    assert "language-unknown-to-model" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["complete", "absent.py:1:1"], "absent.py cannot be read"),
        (["complete", "point.py"], "FILE:LINE:COL"),
        (["complete", "point.py:0:1"], "counted from 1"),
        (["complete", "point.py:99:1"], "the nearest place is"),
        (["complete", "point.py:1:99"], "the nearest place is 1:13"),
        (["complet", "point.py:1:1"], "invalid choice: 'complet'"),
        (["complete", "point.py:1:1", "--jason"], "--jason"),
        (["complete", "point.py:-1:1"], "counted from 1"),
        (["complete", "point.py:\uff11:1"], "counted from 1"),
        (["complete", "point.py:" + 5000 * "9" + ":1"], "counted from 1"),
        (["complete", 300 * "p" + ":1:1"], "cannot be read"),
        (["serve", "--port", "http"], "from --port is"),
        (["serve", "--host", ""], "from --host is"),
        (["chat", "hello", "--model", "a\nb"], "from --model is"),
        (["stats", "--config", "absent.toml"], "absent.toml"),
        (["complete", "point.py:1:1", "--log-level", "loud"], "loud"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(home: Path, arguments: list[str], words: str) -> None:
    (home / "point.py").write_text(CODE)
    run = tabby(home, *arguments)

    assert run.returncode == 2
    assert words in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_a_wrong_setting_is_named_with_its_source(home: Path) -> None:
    run = tabby(home, "stats", TABBY_LSP_COMPLETION_MAX_TOKENS="many")

    assert run.returncode == 2
    assert "TABBY_LSP_COMPLETION_MAX_TOKENS" in run.stderr


def test_a_home_folder_that_no_shell_has_spelled_out_is_found(home: Path) -> None:
    """As in an editor's list of arguments, or behind `--config=`."""
    (home / "mine.toml").touch()
    run = tabby(home, "models", "use", "starter", "--config=~/mine.toml")

    assert run.returncode == 0, run.stderr
    assert 'model = "starter"' in (home / "mine.toml").read_text()
    assert not (home / "~").exists()


def test_a_model_that_is_named_is_run_here_whatever_server_the_settings_name(home: Path) -> None:
    settings = home / "far.toml"
    settings.write_text(
        'engine = "far"\n[chat]\nengine = "far"\n'
        '[engines.far]\nkind = "openai"\nurl = "http://127.0.0.1:9/v1"\nmodel = "x"\n'
    )
    (home / "point.py").write_text(CODE)
    there = tabby(home, "complete", "point.py:4:20", f"--config={settings}")
    here = tabby(home, "complete", "point.py:4:20", f"--config={settings}", "--model", "starter")

    assert there.returncode == 1
    assert (here.stdout, here.returncode) == (" = height\n", 0)
    chat = tabby(home, "chat", "hello", f"--config={settings}", "--model", "starter")
    assert "starter" in chat.stderr


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_a_terminal_cannot_spell_is_said_in_another_way(home: Path, encoding: str) -> None:
    """A model of Windows' or of another century's name."""
    folder = home / ".local/share/tabby-lsp/models"
    folder.mkdir(parents=True)
    starter = next((Path(tabby_lsp.__file__).parent / "models/starter").glob("*.gguf"))
    for name in (b"\xe6\xa8\xa1.gguf", b"caf\xe9.gguf"):
        (folder / os.fsdecode(name)).symlink_to(starter)
    run = tabby(home, "models", "list", PYTHONIOENCODING=f"{encoding}:strict", PYTHONUTF8="0")

    assert run.returncode == 0, run.stderr
    assert r"caf\udce9" in run.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Unix")
@pytest.mark.parametrize("arguments", [["models", "list"], ["stats"]])
def test_a_reader_that_has_gone_is_no_fault(home: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-m", "tabby_lsp", *arguments],
        env=isolated_environment(home),
        stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)

    assert (run.stderr, run.returncode) == ("", 1)


def test_the_demonstration_says_where_nothing_can_be_shown(home: Path) -> None:
    settings = home / "far.toml"
    settings.write_text(
        'engine = "far"\n[engines.far]\nkind = "openai"\n'
        'url = "http://127.0.0.1:9/v1"\nmodel = "x"\n'
    )
    run = tabby(home, "demo", f"--config={settings}")

    assert run.returncode == 1
    assert "everything on this machine" not in run.stdout


def test_the_version_is_told(home: Path) -> None:
    assert tabby(home, "--version").stdout == f"tabby-lsp {tabby_lsp.__version__}\n"


def test_the_doctor_finds_everything_in_order(home: Path) -> None:
    run = tabby(home, "doctor", "--json")
    findings = json.loads(run.stdout)

    assert run.returncode == 0
    assert {finding["verdict"] for finding in findings} == {"OK"}
    assert "completion" in [finding["name"] for finding in findings]


def test_the_demonstration_saves_keys_without_a_terminal(home: Path) -> None:
    run = tabby(home, "demo")

    assert run.returncode == 0, run.stderr
    assert "characters written with" in run.stdout
    assert int(re.findall(r"(\d+) suggestions taken", run.stdout)[0]) > 0
    assert "\x1b" not in run.stdout


def test_a_log_file_in_a_new_folder_is_made(home: Path) -> None:
    log = home / "new" / "folder" / "tabby.log"
    run = tabby(home, "stats", "--log-file", str(log))

    assert run.returncode == 0
    assert log.exists()


def test_a_log_file_that_cannot_be_made_is_named_and_no_reason_to_fail(home: Path) -> None:
    (home / "file").write_text("")
    run = tabby(home, "stats", "--log-file", str(home / "file" / "tabby.log"))

    assert run.returncode == 0
    assert "cannot be written" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_folder_is_no_file(home: Path) -> None:
    run = tabby(home, "complete", f"{home}:1:1")

    assert run.returncode == 2
    assert "is not a file" in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="files with holes")
def test_a_file_that_no_memory_has_room_for_is_not_read(home: Path) -> None:
    with (home / "huge.py").open("wb") as file:
        file.truncate(1 << 40)
    run = tabby(home, "complete", "huge.py:1:1")

    assert run.returncode == 2
    assert "huge.py is longer than" in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Unix")
def test_a_log_that_is_a_pipe_is_not_waited_for(home: Path) -> None:
    os.mkfifo(home / "log")
    run = tabby(home, "stats", "--log-file", "log")

    assert run.returncode == 0
    assert f"the log file {home / 'log'} cannot be written: it is a pipe" in run.stderr


def shell(home: Path, call: str) -> subprocess.CompletedProcess[str]:
    """A call with what only a shell can say of files."""
    (home / "point.py").write_text(CODE)
    return subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m tabby_lsp {call}'],
        env=isolated_environment(home),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
@pytest.mark.parametrize("output", ["/dev/full", "&-"])
@pytest.mark.parametrize("call", ["stats", "complete point.py:4:20", "models path starter"])
def test_an_output_that_takes_nothing_is_one_sentence(home: Path, call: str, output: str) -> None:
    run = shell(home, f"{call} >{output}")

    assert run.returncode == 1
    assert run.stderr.startswith("tabby-lsp: standard output cannot be written: ")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
def test_without_standard_error_the_rest_is_as_ever(home: Path) -> None:
    """What is opened first must not come to stand in its place either, and be written into."""
    run = shell(home, "complete point.py:4:20 --log-file log --log-level debug 2>&- <&-")
    assert (run.stdout, run.returncode) == (" = height\n", 0)
    assert shell(home, "complete absent.py:1:1 2>&-").returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_language_server_without_an_editor_says_so(home: Path, closed: str) -> None:
    run = shell(home, f"--stdio {closed}")

    assert run.returncode == 2
    assert run.stderr.startswith("tabby-lsp: a language server needs standard input and output")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps such folders")
def test_a_present_folder_that_is_gone_is_said(home: Path) -> None:
    (home / "gone").mkdir()
    python = f'"{sys.executable}" -m tabby_lsp stats --config mine.toml'
    run = subprocess.run(
        ["sh", "-c", f"rmdir ../gone; {python}"],
        env=isolated_environment(home), cwd=home / "gone",
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 2
    assert "mine.toml starts in the present folder, which is gone" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HF_HUB_DOWNLOAD_TIMEOUT", "10s"),
        ("HF_HUB_ETAG_TIMEOUT", "soon"),
        ("HF_ENDPOINT", "http://["),
        ("HF_ENDPOINT", "https://hub:port"),
    ],
)
def test_a_variable_of_the_hub_that_has_no_sense_is_named(
    home: Path, variable: str, value: str
) -> None:
    run = tabby(home, "models", "list", **{variable: value})

    assert run.returncode == 1
    assert run.stderr.startswith(f'tabby-lsp: {variable} = "{value}" is not ')
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("action", ["status", "stop"])
def test_without_a_place_for_the_host_it_says_what_to_set(home: Path, action: str) -> None:
    nowhere = "/dev/null/run"
    script = (
        "import sys; from tabby_lsp.cli import main; from tabby_lsp.host import place;"
        "place.temporary_dirs = list; sys.exit(main(['host', sys.argv[1]]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, action],
        env=isolated_environment(home)
        | {"XDG_RUNTIME_DIR": nowhere, "XDG_STATE_HOME": nowhere},
        capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip

    assert run.returncode == 1
    assert run.stderr.startswith("tabby-lsp: There is no folder")
    assert "XDG_RUNTIME_DIR" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_file_that_cannot_be_read_is_named(home: Path) -> None:
    """A link to itself fails for root too, which may read what is closed to others."""
    history = home / ".local/state/tabby-lsp/suggestions.jsonl"
    history.parent.mkdir(parents=True)
    history.symlink_to(history)
    run = tabby(home, "stats")

    assert run.returncode == 1
    assert run.stderr.startswith(f"tabby-lsp: {history}: ")
    assert len(run.stderr.splitlines()) == 1
