"""What of llama.cpp crashes on a machine is found out in a child, remembered, and left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.hosts import END, SOURCE, log
from tests.e2e.wire import isolated_environment, start

if TYPE_CHECKING:
    from pathlib import Path

TRY = {"TABBY_LSP_HOST_SELF_TEST": "true"}

# A build with a graphics card whose driver crashes as soon as a layer is put on it.
BAD_DRIVER = """\
import importlib.abc, importlib.machinery, os, sys

class Loader(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "llama_cpp.llama_cpp":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        def patched(module):
            execute(module)
            load = module.llama_model_load_from_file
            def crash(path, parameters):
                if parameters.n_gpu_layers != 0:
                    os.abort()
                return load(path, parameters)
            module.llama_model_load_from_file = crash
        spec.loader.exec_module = patched
        return spec

sys.meta_path.insert(0, Loader())
"""


def record_of(home: Path) -> Path:
    return home / ".local/state/tabby-lsp/self-test.json"


def test_a_machine_on_which_all_is_well_is_tried_once(home: Path) -> None:
    for _ in range(2):
        with start(home, variables=TRY) as client:
            client.initialize(initialize_params(VSCODE, root=home))
            client.open("untitled:a", SOURCE)
            client.wait_ready()
            assert client.complete("untitled:a", END)
        written_s = record_of(home).stat().st_mtime
    assert json.loads(record_of(home).read_text())["avoided"] == []
    assert record_of(home).stat().st_mtime == written_s


def test_what_crashes_is_avoided_from_the_first_suggestion_on(home: Path) -> None:
    modules = home / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(BAD_DRIVER)
    with start(home, python_path=modules, variables=TRY) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", SOURCE)
        client.wait_ready()
        assert client.complete("untitled:a", END)
    assert log(home).count("engine host started") == 1
    assert json.loads(record_of(home).read_text())["avoided"] == ["graphics"]
    environment = isolated_environment(home)
    doctor = subprocess.run(
        [sys.executable, "-m", "tabby_lsp", "doctor", "--json"],
        env=environment | {"PYTHONPATH": f"{modules}:{environment['PYTHONPATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {each["name"]: each for each in json.loads(doctor.stdout)}
    assert found["self-test"]["verdict"] == "WARN"
    assert "SIGABRT" in found["self-test"]["detail"]
    # The doctor loads the model itself, and heeds what is known.
    assert found["completion"]["verdict"] == "OK"


def test_another_build_is_tried_anew(home: Path) -> None:
    record_of(home).parent.mkdir(parents=True)
    held = {"machine": "another", "day": "2026-01-01", "avoided": ["graphics"], "crash": "SIGILL"}
    record_of(home).write_text(json.dumps(held))
    with start(home, variables=TRY) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", SOURCE)
        client.wait_ready()
    assert json.loads(record_of(home).read_text())["avoided"] == []
