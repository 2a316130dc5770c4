"""What `--device` and `--chat-device` come to, with a build for a graphics card and without."""

from __future__ import annotations

import sys

import pytest

from tabby_lsp.commands import serve
from tabby_lsp.config import LocalSettings
from tabby_lsp.rack import Fit
from tabby_lsp.servers.http.machine import Devices

OWN = "metal" if sys.platform == "darwin" else "cuda"


@pytest.mark.parametrize(
    ("asked", "local", "used"),
    [
        (("", ""), "auto", (OWN, OWN)),
        (("", ""), "cpu", ("cpu", "cpu")),
        (("cpu", ""), "auto", ("cpu", "cpu")),
        (("cuda", "cpu"), "auto", ("cuda", "cpu")),
        (("cpu", "vulkan"), "auto", ("cpu", "vulkan")),
        (("cuda", ""), "cpu", ("cuda", "cuda")),
    ],
)
def test_a_build_for_a_graphics_card_uses_it_unless_it_is_told_not_to(
    asked: tuple[str, str],
    local: str,
    used: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(serve, "has_graphics", lambda: True)
    settings = LocalSettings(device="cpu" if local == "cpu" else "auto")
    devices = serve._devices(Devices(completion=asked[0], chat=asked[1]), settings)
    assert (devices.completion, devices.chat) == used
    assert (devices.of("embedding"), devices.of("chat")) == used
    for device in used:
        fitted = serve._fitted(settings, Fit(), device)
        assert fitted.device == ("cpu" if device == "cpu" else "auto")
    assert capsys.readouterr().err == ""


def test_another_build_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "has_graphics", lambda: False)
    devices = serve._devices(Devices(completion="cuda", chat="cpu"), LocalSettings())
    assert devices == Devices(completion="cpu", chat="cpu")
    assert "has no cuda: the processor does the work" in capsys.readouterr().err


def test_what_a_load_asks_for_stands_over_the_settings() -> None:
    settings = LocalSettings(n_ctx=2_048, n_ubatch=32)
    fitted = serve._fitted(settings, Fit(n_ctx=512, is_on_processor=True), "cuda")
    assert (fitted.n_ctx, fitted.n_ubatch, fitted.device) == (512, 32, "cpu")
