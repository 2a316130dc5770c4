"""llama.cpp computes with an exported model what the trainer computes, and tokenizes as it does.

Needs torch, which `make test` does not ask for: `make test-training` runs this.
"""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch

from training import tokenizer
from training.export import read_gguf, write_gguf
from training.grow import widened
from training.model import Decoder, Shape

ROOT = Path(__file__).resolve().parents[2]
STARTER = next((ROOT / "tabby_lsp" / "models" / "starter").glob("*.gguf"))
LLAMA_PYTHON = ROOT / ".venv" / "bin" / "python"
TEXT = "def area(width, height):\n    return width * height\n\n\nclass Box:\n    def __init__(self"
N_FILES = 1_000
SMALL = Shape(n_vocab=600, n_layers=2, width=128, n_heads=2, n_kv_heads=1, feed_forward=256)


def llama_cpp_says(
    model: Path, tokens: list[int], texts: list[str], folder: Path
) -> dict[str, np.ndarray]:
    questions, answers = folder / "questions.json", folder / "answers.npz"
    questions.write_text(json.dumps({"tokens": tokens, "texts": texts}), "utf-8")
    script = Path(__file__).with_name("llama_cpp_says.py")
    subprocess.run([LLAMA_PYTHON, script, model, questions, answers], check=True)
    with np.load(answers) as said:
        return dict(said)


def check_same_logits(model: Decoder, path: Path, tokens: list[int], folder: Path) -> None:
    theirs = llama_cpp_says(path, tokens, [], folder)["logits"]
    with torch.no_grad():
        ours = model.logits(torch.tensor(tokens)).numpy()
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999  # activations of 8 bits
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.9


def test_the_starter_is_read_and_written_without_a_loss(tmp_path: Path) -> None:
    model, pieces = read_gguf(STARTER), tokenizer.read_gguf(STARTER)
    path = tmp_path / "again.gguf"
    write_gguf(model, pieces, path, "again")
    tokens = pieces.encode(TEXT).ids
    check_same_logits(model, path, tokens, tmp_path)
    again = read_gguf(path)
    assert again.shape == model.shape
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )


@pytest.mark.parametrize("qk_norm", [False, True])
def test_a_new_model_of_either_architecture_says_the_same(qk_norm: bool, tmp_path: Path) -> None:
    pieces = tokenizer.train(
        [path.read_text("utf-8") for path in (ROOT / "training").glob("*.py")], 600
    )
    shape = Shape(
        n_vocab=600,
        n_layers=2,
        width=128,
        n_heads=2,
        n_kv_heads=1,
        feed_forward=256,
        qk_norm=qk_norm,
    )
    model = Decoder(shape)
    generator = torch.Generator().manual_seed(1)
    model.start(generator)
    for parameter in model.parameters():
        with torch.no_grad():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter += noise * (0.2 if parameter.dim() == 1 else parameter.shape[1] ** -0.5)
    path = tmp_path / "new.gguf"
    write_gguf(model, pieces, path, "new")
    check_same_logits(read_gguf(path), path, pieces.encode(TEXT).ids, tmp_path)


def test_llama_cpp_reproduces_the_vocabulary_on_a_thousand_files(tmp_path: Path) -> None:
    """On the standard library, whose tests hold every script and control character."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    texts = [path.read_bytes().decode("utf-8", "replace")[:20_000] for path in paths]
    texts = [text for text in texts if text][-N_FILES:]
    assert len(texts) == N_FILES
    pieces = tokenizer.train(texts[::10], 2_000)
    model = Decoder(
        Shape(n_vocab=2_000, n_layers=1, width=64, n_heads=1, n_kv_heads=1, feed_forward=64)
    )
    model.start(torch.Generator().manual_seed(1))
    path = tmp_path / "words.gguf"
    write_gguf(model, pieces, path, "words")
    said = llama_cpp_says(path, [0], texts, tmp_path)
    theirs = np.split(said["ids"], np.cumsum(said["lengths"])[:-1])
    ours = [pieces.encode(text, add_special_tokens=False).ids for text in texts]
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b.tolist()]
    assert wrong == []


def test_no_piece_joins_code_of_two_lines() -> None:
    pieces = tokenizer.read_gguf(STARTER)
    texts = [pieces.decode([i]) for i in range(pieces.get_vocab_size())]
    assert [text for text in texts if "\n" in text and text.strip()] == []


def test_a_grown_model_says_what_it_said() -> None:
    model, pieces = read_gguf(STARTER), tokenizer.read_gguf(STARTER)
    tokens = torch.tensor(pieces.encode(TEXT).ids)
    larger = widened(model, 2 * model.shape.feed_forward, seed=0)
    with torch.no_grad():
        assert torch.allclose(larger.logits(tokens), model.logits(tokens), atol=1e-4)
    larger.logits(tokens).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in larger.blk[0].ffn_down.parameters())
