"""Other programs' models are found where these programs keep them, and nothing else is."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants

from tabby_lsp.models.elsewhere import elsewhere

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DIGEST = "ab" * 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any model."""
    for variable in ("OLLAMA_MODELS", "LLAMA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / ".cache/huggingface/hub"))
    return tmp_path


def put(path: Path, content: str = "GGUF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def check(*expected: tuple[str, Path, str]) -> None:
    """Exactly these are found: name, file, program."""
    assert [(find.name, find.path, find.program) for find in elsewhere()] == list(expected)


def ollama(
    folder: Path,
    name: str,
    digest: str = f"sha256:{DIGEST}",
    manifests: str = "manifests",
    media_type: str = "application/vnd.ollama.image.model",
) -> Path:
    """A model as Ollama lays it out; `name` is host/namespace/model/tag."""
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64},
        {"mediaType": media_type, "digest": digest, "size": 4},
    ]
    put(folder / manifests / name, json.dumps({"schemaVersion": 2, "layers": layers}))
    return put(folder / "blobs" / f"sha256-{DIGEST}")


def test_an_empty_home_has_none() -> None:
    check()


@pytest.mark.parametrize(
    ("manifest", "name"),
    [
        ("registry.ollama.ai/library/qwen2.5-coder/1.5b-base", "qwen2.5-coder:1.5b-base"),
        ("registry.ollama.ai/somebody/coder/latest", "somebody/coder:latest"),
        ("ollama.com/library/qwen2.5-coder/1.5b", "qwen2.5-coder:1.5b"),
        ("hf.co/bartowski/X-GGUF/Q8_0", "hf.co/bartowski/X-GGUF:Q8_0"),
        ("registry.ollama.ai/library/latest", "library:latest"),
    ],
)
def test_ollamas_models_have_ollamas_names(home: Path, manifest: str, name: str) -> None:
    check((name, ollama(home / ".ollama/models", manifest), "Ollama"))


def test_ollamas_newer_layout(home: Path) -> None:
    manifest = "ollama.com/library/m/latest"
    blob = ollama(home / ".ollama/models", manifest, f"sha256-{DIGEST}", manifests="manifests-v2")
    check(("m:latest", blob, "Ollama"))


def test_ollamas_own_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(home / "big disk"))
    ollama(home / ".ollama/models", "registry.ollama.ai/library/hidden/latest")
    blob = ollama(home / "big disk", "registry.ollama.ai/library/m/latest")
    check(("m:latest", blob, "Ollama"))


@pytest.mark.parametrize(
    "digest",
    ["sha256:../../../etc/passwd", "../../x", "", f"sha256:{DIGEST}0", f"md5:{'0' * 32}",
     f"sha256:{'cd' * 32}"],
)  # fmt: skip
def test_a_digest_that_leads_nowhere_is_no_model(home: Path, digest: str) -> None:
    ollama(home / ".ollama/models", "registry.ollama.ai/library/m/latest", digest)
    check()


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "[]", "null", '{"layers": 5}', '{"layers": [5]}', '{"layers": [{}]}', "[" * 100_000,
     '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": 5}]}'],
)  # fmt: skip
def test_a_manifest_that_is_none_is_passed_by(home: Path, manifest: str) -> None:
    put(home / ".ollama/models/manifests/registry.ollama.ai/library/bad/latest", manifest)
    blob = ollama(home / ".ollama/models", "registry.ollama.ai/library/good/latest")
    check(("good:latest", blob, "Ollama"))


@pytest.mark.parametrize("is_pipe", [True, False])
def test_a_manifest_without_end_is_passed_by(home: Path, is_pipe: bool) -> None:
    blob = ollama(home / ".ollama/models", "registry.ollama.ai/library/good/latest")
    endless = home / ".ollama/models/manifests/registry.ollama.ai/library/good/endless"
    if is_pipe:
        os.mkfifo(endless)
    else:
        endless.symlink_to("/dev/zero")
    check(("good:latest", blob, "Ollama"))


def test_an_adapter_is_no_model(home: Path) -> None:
    adapter = "application/vnd.ollama.image.adapter"
    ollama(home / ".ollama/models", "registry.ollama.ai/library/m/latest", media_type=adapter)
    check()


@pytest.mark.parametrize("folder", [".lmstudio/models", ".cache/lm-studio/models"])
def test_lm_studios_models(home: Path, folder: str) -> None:
    path = put(home / folder / "Qwen" / "Qwen2.5-Coder-GGUF" / "qwen2.5-coder-q8_0.gguf")
    check(("qwen2.5-coder-q8_0", path, "LM Studio"))


def test_llama_cpps_models(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(home / ".cache/llama.cpp/ggml-org_Qwen_q8_0.gguf")
    put(home / ".cache/llama.cpp/ggml-org_Qwen_q8_0.gguf.json")
    check(("ggml-org_Qwen_q8_0", path, "llama.cpp"))
    monkeypatch.setenv("LLAMA_CACHE", str(home / "elsewhere"))
    check()


def test_the_hubs_cache(home: Path) -> None:
    repository = home / ".cache/huggingface/hub/models--ikw--Q-GGUF"
    blob = put(repository / "blobs" / DIGEST)
    link = repository / "snapshots/abc/q-q8_0.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    (link.parent / "broken.gguf").symlink_to(home / "nowhere")
    put(repository / "snapshots/abc/README.md")
    check(("q-q8_0", link, "Hugging Face"))


def names_of(folder: Path, files: Sequence[str]) -> list[str]:
    for name in files:
        put(folder / name)
    return [find.name for find in elsewhere()]


def test_of_a_model_in_several_files_the_first_counts(home: Path) -> None:
    folder = home / ".lmstudio/models"
    files = ["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"]
    assert names_of(folder, files) == ["m-00001-of-00003"]


def test_what_only_looks_like_a_model_does_not_count(home: Path) -> None:
    files = ["mmproj-model-f16.gguf", ".hidden.gguf", "m.gguf.part", "m.safetensors", "M.GGUF"]
    assert names_of(home / ".lmstudio/models", files) == ["M"]


def test_one_file_with_two_names_counts_once(home: Path) -> None:
    path = put(home / ".lmstudio/models/a/m.gguf")
    link = home / ".cache/llama.cpp/m.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(path)
    check(("m", path, "LM Studio"))


def test_a_circle_of_links_ends(home: Path) -> None:
    path = put(home / ".lmstudio/models/a/m.gguf")
    (path.parent / "again").symlink_to(home / ".lmstudio/models")
    check(("m", path, "LM Studio"))


def test_what_is_looked_at_has_an_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabby_lsp.models.elsewhere._MAX_LOOKED_AT", 50, raising=False)
    folder = home / ".lmstudio/models"
    names = [f"a/{n:02}.txt" for n in range(20)]

    assert names_of(folder, [*names, "b/m.gguf"]) == ["m"]
    assert names_of(folder, [f"a/{n:02}.bin" for n in range(30)]) == []
