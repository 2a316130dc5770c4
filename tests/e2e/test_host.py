"""One engine for every window: found, started, shared, and gone when nobody needs it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.hosts import (
    END,
    SOURCE,
    command,
    complete_until_shown,
    has_mapped,
    hosts_of,
    is_alive,
    log,
    messages,
    pid_of_host,
    status,
)
from tests.e2e.wire import PATIENCE_S, Client, isolated_environment, start, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ENDED_S = 15.0
# With the same environment, as by `sudo`; what is needed is imported before, as root.
ANOTHER_USER = """
import os, socket, sys
from tabby_lsp.host.place import place
path = sys.argv[1]
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for intrude in (socket.socket(socket.AF_UNIX).connect, os.listdir, os.unlink):
    try:
        intrude(os.path.dirname(path) if intrude is os.listdir else path)
        print("done")
    except OSError as error:
        print(type(error).__name__)
print(place().folder)
"""


def is_root() -> bool:
    return hasattr(os, "getuid") and os.getuid() == 0


def opened(client: Client, home: Path, uri: str = "untitled:a", text: str = SOURCE) -> Client:
    """A window with a document, and with its model loaded."""
    client.initialize(initialize_params(VSCODE, root=home))
    client.open(uri, text)
    client.wait_ready()
    return client


def test_the_model_runs_in_the_host_and_the_language_server_never_loads_it(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        assert client.complete("untitled:a", END)
        report = status(home)
        assert report is not None
        assert report["clients"] == 1
        assert [(m["name"], m["state"]) for m in report["models"]] == [("starter", "ready")]
        assert report["rss_bytes"] > 10_000_000
        assert has_mapped(report["pid"], "libllama")
        assert not has_mapped(client.process.pid, "libllama")
        assert not has_mapped(client.process.pid, "numpy")


def test_in_process_needs_no_host(home: Path) -> None:
    with start(home, "--stdio", "--in-process") as client:
        opened(client, home)
        assert client.complete("untitled:a", END)
        assert has_mapped(client.process.pid, "libllama")
        assert status(home) is None


def test_two_windows_share_one_host_and_it_leaves_after_the_last(home: Path) -> None:
    with start(home) as first, start(home) as second:
        opened(first, home)
        opened(second, home)
        assert first.complete("untitled:a", END) and second.complete("untitled:a", END)
        report = status(home)
        assert report is not None and report["clients"] == 2
        assert len(report["models"]) == 1
        pid = report["pid"]
        first.call("shutdown")
        first.notify("exit")
        assert wait_until(lambda: (status(home) or {}).get("clients") == 1, 10, every_s=0.2)
        assert second.complete("untitled:a", END)
        socket = Path(report["socket"])
    assert wait_until(lambda: not is_alive(pid), ENDED_S)
    assert not socket.exists()
    assert status(home) is None


def test_windows_that_start_at_once_have_one_host(home: Path) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(start(home)) for _ in range(5)]
        for client in clients:
            client.send(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "initialize",
                    "params": initialize_params(VSCODE, root=home),
                }
            )
        for client in clients:
            wait_until(lambda c=client: 1 in c.replies, 30)  # type: ignore[misc]
            client.notify("initialized", {})
            client.open("untitled:a", SOURCE)
        for client in clients:
            client.wait_ready()
            assert client.complete("untitled:a", END)
        assert len(hosts_of(home)) == 1
        report = status(home)
        assert report is not None and report["clients"] == 5
    assert log(home).count("engine host started") == 1


def test_only_the_user_may_come_in(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        report = status(home)
        assert report is not None
        socket = Path(report["socket"])
        assert len(os.fsencode(socket)) < 100
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(not is_root(), reason="only root can be somebody else")
def test_another_user_is_kept_out_and_has_a_place_of_their_own() -> None:
    """Also one who may enter every folder above the host's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        home = Path(name)
        with start(home) as client:
            opened(client, home)
            report = status(home)
            assert report is not None
            own = Path(report["socket"]).parent
            for folder in (home, own.parent):
                folder.chmod(0o755)
            run = subprocess.run(
                [sys.executable, "-c", ANOTHER_USER, report["socket"]],
                env=isolated_environment(home), capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert run.stderr == ""
            *refusals, theirs = run.stdout.splitlines()
            assert refusals == ["PermissionError"] * 3
            assert theirs == "/tmp/tabby-lsp-65534"
            assert client.complete("untitled:a", END)
    Path(theirs).rmdir()


def test_the_host_keeps_nothing_of_its_window(home: Path) -> None:
    """Neither its terminal, its descriptors nor its folder, so that a disk can be taken out."""
    with start(home) as client:
        opened(client, home)
        pid = pid_of_host(home)
        process = Path(f"/proc/{pid}")
        assert os.readlink(process / "cwd") == "/"
        assert os.getsid(pid) == pid
        links = {n: os.readlink(process / "fd" / n) for n in ("0", "1", "2")}
        assert links["0"] == "/dev/null"
        assert links["1"] == links["2"] == str(home / ".local/state/tabby-lsp/host.log")
        pipes = {os.readlink(f"/proc/{client.process.pid}/fd/{n}") for n in (0, 2)}
        held = {os.readlink(each) for each in (process / "fd").iterdir() if each.is_symlink()}
        assert not pipes & held


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (signal.SIGKILL, "dmesg"),
        (signal.SIGSEGV, "llama.cpp crashed"),
        (signal.SIGABRT, "gave up"),
        (signal.SIGBUS, "cut off"),
        (signal.SIGSTOP, "did not answer any more"),
    ],
)
def test_whatever_ends_the_host_the_window_goes_on(
    number: signal.Signals, cause: str, home: Path
) -> None:
    with start(home) as client:
        opened(client, home)
        assert client.complete("untitled:a", END)
        pid = pid_of_host(home)
        client.change("untitled:a", 2, {"text": SOURCE.replace("Point", "Place")})
        os.kill(pid, number)
        complete_until_shown(client, "untitled:a")
        assert pid_of_host(home) != pid
        assert wait_until(lambda: len(messages(client)) == 1, 5)
        assert cause in messages(client)[0]
        assert client.foreign == []
        assert not is_alive(pid)


def test_a_wrong_setting_costs_nothing_but_itself(home: Path) -> None:
    settings = home / ".config/tabby-lsp/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('modle = "starter"\n[host]\nparked_mib = 1\n')
    with start(home) as client:
        opened(client, home)
        assert client.complete("untitled:a", END)
        assert any("modle" in each for each in messages(client))
        report = status(home)
        assert report is not None and report["clients"] == 1


def test_who_asks_while_another_host_starts_is_told(home: Path) -> None:
    """The answer comes from the new one, and would have been the last word of the old one's end."""
    with start(home) as client:
        opened(client, home)
        assert client.complete("untitled:a", END)
        client.change("untitled:a", 2, {"text": SOURCE.replace("Point", "Place")})
        os.kill(pid_of_host(home), signal.SIGKILL)
        assert wait_until(lambda: b"is started again" in client.logged, PATIENCE_S)
        assert client.complete("untitled:a", END)
        assert wait_until(lambda: len(messages(client)) == 1, 5)


def test_what_is_pending_is_answered_with_nothing(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        pid = pid_of_host(home)
        # It hangs, so the question is pending until that is noticed.
        os.kill(pid, signal.SIGSTOP)
        assert client.ask("untitled:a", END).result() == {"items": []}
        assert client.inspect(n=1)["decisions"][-1]["reason"] == "engine-away"


def test_a_model_that_ends_the_host_three_times_is_left_alone(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        for n in range(3):
            pid = pid_of_host(home)
            # It stands still, so nothing is answered before it is given up.
            os.kill(pid, signal.SIGSTOP)
            client.change("untitled:a", n + 2, {"text": SOURCE.replace("Point", f"Place{n}")})
            assert client.ask("untitled:a", END).result() == {"items": []}
            if n < 2:
                wait_until(lambda: client.engine_state() == "ready", 20, every_s=0.05)
        assert client.engine_state() == "failed"
        engine = client.execute("tabby.status")["engine"]
        assert "3 times in a row" in engine["message"]
        assert client.complete("untitled:a", END) == []
        assert client.inspect(n=1)["decisions"][-1]["reason"] == "model-failed"
        assert messages(client)[-1] == engine["message"]


def test_a_stale_socket_and_a_stale_lock_are_taken_over(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        report = status(home)
        assert report is not None
        socket = Path(report["socket"])
        # The window has gone first, so nobody starts the host again.
        os.killpg(client.process.pid, signal.SIGKILL)
        os.kill(report["pid"], signal.SIGKILL)
    assert socket.exists()
    with start(home) as client:
        opened(client, home)
        assert client.complete("untitled:a", END)


def test_a_host_whose_socket_is_gone_leaves(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        report = status(home)
        assert report is not None
        Path(report["socket"]).unlink()
        assert wait_until(lambda: not is_alive(report["pid"]), ENDED_S)
        complete_until_shown(client, "untitled:a")
        # It left by itself, which is no fault that anybody must hear of.
        assert messages(client) == []


def test_a_host_that_hangs_and_cannot_be_reached_makes_way(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        report = status(home)
        assert report is not None
    os.kill(report["pid"], signal.SIGSTOP)
    Path(report["socket"]).unlink()
    with start(home) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", SOURCE)
        complete_until_shown(client, "untitled:a")
    assert not is_alive(report["pid"])


def test_stop_ends_it_and_says_so(home: Path) -> None:
    assert "no engine host" in command(home, "stop").stdout
    with start(home) as client:
        opened(client, home)
        pid = pid_of_host(home)
        assert str(pid) in command(home, "stop").stdout
        assert not is_alive(pid)
        complete_until_shown(client, "untitled:a")
        assert "starter: ready, 1 window" in command(home, "status").stdout


def test_stop_ends_one_that_hangs(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        pid = pid_of_host(home)
    os.kill(pid, signal.SIGSTOP)
    assert str(pid) in command(home, "stop").stdout
    assert wait_until(lambda: not is_alive(pid), 5)


def test_a_window_finds_a_host_that_hangs_and_gets_another(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        os.kill(pid_of_host(home), signal.SIGSTOP)
        with start(home) as second:
            opened(second, home)
            assert second.complete("untitled:a", END)


def test_another_version_has_its_own_host_and_the_old_one_leaves(home: Path) -> None:
    newer = home / "newer"
    newer.mkdir()
    (newer / "sitecustomize.py").write_text("import tabby_lsp\ntabby_lsp.__version__ = '99.0'\n")
    (home / "config.toml").write_text("[host]\nstays_s = 600\n")
    flags = ("--stdio", "--config", str(home / "config.toml"))
    patient = {"TABBY_LSP_HOST_STAYS_S": ""}
    with start(home, *flags, variables=patient) as old:
        opened(old, home)
        pid = pid_of_host(home)
        with start(home, *flags, python_path=newer, variables=patient) as new:
            opened(new, home)
            assert len(hosts_of(home)) == 2
            old.call("shutdown")
            old.notify("exit")
            assert wait_until(lambda: not is_alive(pid), ENDED_S)
            assert new.complete("untitled:a", END)
    command(
        home, "stop", PYTHONPATH=f"{newer}{os.pathsep}{isolated_environment(home)['PYTHONPATH']}"
    )
    assert wait_until(lambda: not hosts_of(home), ENDED_S)


def test_two_models_stand_beside_each_other(home: Path, tmp_path: Path) -> None:
    import tabby_lsp

    starter = next((Path(tabby_lsp.__file__).parent / "models/starter").glob("*.gguf"))
    copy = home / "copy.gguf"
    copy.write_bytes(starter.read_bytes())
    with start(home) as first, start(home, "--stdio", "--model", str(copy)) as second:
        opened(first, home)
        opened(second, home)
        assert first.complete("untitled:a", END) and second.complete("untitled:a", END)
        report = status(home)
        assert report is not None
        assert sorted(m["name"] for m in report["models"]) == sorted(["starter", str(copy)])


def test_the_end_of_an_editor_ends_what_it_had_asked(home: Path) -> None:
    with start(home) as first:
        opened(first, home)
        with start(home) as second:
            opened(second, home)
            assert (status(home) or {})["clients"] == 2
            os.killpg(second.process.pid, signal.SIGKILL)
            assert wait_until(lambda: (status(home) or {}).get("clients") == 1, 5, every_s=0.2)
        assert first.complete("untitled:a", END)


def test_without_a_home_and_without_a_runtime_folder_it_works_all_the_same(home: Path) -> None:
    nowhere = dict.fromkeys(("HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"), "/dev/null/none")
    with start(home, variables=nowhere) as client:
        opened(client, home)
        assert client.complete("untitled:a", END)
        command(home, "stop", **nowhere)


def test_a_host_that_cannot_start_is_one_message(home: Path) -> None:
    broken = home / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import sys\nif 'run' in sys.orig_argv: sys.exit('no such luck')\n"
    )
    with start(home, python_path=broken) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", SOURCE)
        assert wait_until(lambda: client.engine_state() == "away", 20)
        assert client.complete("untitled:a", END) == []
        assert len(messages(client)) == 1
        assert "no such luck" in messages(client)[0]
        (broken / "sitecustomize.py").unlink()
        complete_until_shown(client, "untitled:a")


def test_the_run_command_refuses_where_a_host_is(home: Path) -> None:
    with start(home) as client:
        opened(client, home)
        run = subprocess.run(
            [sys.executable, "-m", "tabby_lsp", "host", "run"],
            env=isolated_environment(home), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (run.returncode, run.stderr) == (0, "there is a host already\n")
        assert client.complete("untitled:a", END)
