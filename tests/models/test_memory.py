"""What a model needs is weighed against what is free, by whichever limit is the narrowest."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.models import memory
from tabby_lsp.models.gguf import ModelFileError, read_header
from tabby_lsp.models.memory import check_fits, memory_free_bytes, memory_needed_bytes
from tests.models.model_files import STARTER, write_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNLIMITED = 9_223_372_036_854_771_712  # what cgroup v1 writes where there is no limit


def needed_for(path: Path, n_ctx: int, **figures: object) -> int:
    metadata = {f"llama.{key.replace('__', '.')}": value for key, value in figures.items()}
    return memory_needed_bytes(read_header(write_model(path, metadata=metadata)), n_ctx, 64)


def free_in(folder: Path, files: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> int | None:
    """What is free on a machine whose /proc and /sys/fs/cgroup hold these files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    monkeypatch.setattr(memory, "_PROC", folder / "proc")
    monkeypatch.setattr(memory, "_CGROUPS", folder / "cgroup")
    return memory_free_bytes()


MACHINE = {"proc/meminfo": "MemTotal: 16 kB\nMemFree: 2 kB\nMemAvailable:    9000 kB\n"}


def test_the_starter_fits() -> None:
    header = read_header(STARTER)
    assert header.tensor_bytes < memory_needed_bytes(header, 1024, 64) < 100e6
    check_fits(header, 1024, 64)


def test_the_kv_cache_grows_with_the_context_by_whole_steps(tmp_path: Path) -> None:
    path, n_layers, n_kv_heads, head_width = tmp_path / "m.gguf", 3, 2, 8
    figures: dict[str, object] = {
        "block_count": n_layers,
        "attention__head_count": 4,  # of the width 32
        "attention__head_count_kv": n_kv_heads,
    }
    a_token_bytes = n_layers * n_kv_heads * 2 * head_width * 2
    a_mask_bytes = 64 * 4
    grown = needed_for(path, 513, **figures) - needed_for(path, 512, **figures)
    assert grown == 256 * (a_token_bytes + a_mask_bytes)
    assert needed_for(path, 513, **figures) == needed_for(path, 768, **figures)


def test_heads_may_be_counted_for_each_layer_and_have_widths_of_their_own(tmp_path: Path) -> None:
    figures: dict[str, object] = {"block_count": 2, "attention__key_length": 16}
    same = {**figures, "attention__head_count": 4, "attention__head_count_kv": 3}
    listed = {**figures, "attention__head_count": [4, 4], "attention__head_count_kv": [2, 4]}
    needed = [needed_for(tmp_path / "m.gguf", 256, **way) for way in (same, listed)]
    assert needed[0] == needed[1]


def test_every_head_has_keys_where_the_file_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    silent = needed_for(path, 256, attention__head_count=4)
    assert silent == needed_for(path, 256, attention__head_count=4, attention__head_count_kv=4)


def test_a_memory_that_is_a_state_counts_with_its_copies(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    layers: dict[str, object] = {"block_count": 4, "attention__head_count": 4}
    ssm = {"ssm__state_size": 16, "ssm__conv_kernel": 4, "ssm__group_count": 2}
    a_layer_bytes = (64 * 16 + 3 * (64 + 2 * 2 * 16)) * 4

    def of_states(**figures: object) -> int:
        with_states = needed_for(path, 256, **layers, **figures, **ssm, ssm__inner_size=64)
        return with_states - needed_for(path, 256, **layers, **figures)

    assert of_states() == memory.N_STATES * 4 * a_layer_bytes
    one_attends = {"attention__head_count_kv": [0, 0, 2, 0]}
    assert of_states(**one_attends) == memory.N_STATES * 3 * a_layer_bytes
    every_fourth_attends = {"full_attention_interval": 4, "attention__head_count_kv": 2}
    assert of_states(**every_fourth_attends) == memory.N_STATES * 3 * a_layer_bytes
    silent = needed_for(path, 256, **layers, attention__head_count_kv=2)
    assert needed_for(path, 256, **layers, **every_fourth_attends) < silent


def test_too_large_a_context_is_refused_with_both_figures() -> None:
    header = read_header(STARTER)
    with pytest.raises(ModelFileError) as caught:
        check_fits(header, 10_000_000_000, 64)
    for phrase in (str(STARTER), "needs about", "MB are free; ", "10,000,000,000", "n_ctx"):
        assert phrase in str(caught.value)


def test_without_a_figure_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free_in(tmp_path, {}, monkeypatch) is None
    check_fits(read_header(STARTER), 10_000_000_000, 64)


def test_the_machine_has_memory() -> None:
    free_bytes = memory_free_bytes()
    assert free_bytes is not None
    assert 10e6 < free_bytes < 1e15


def test_what_linux_calls_available_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free_in(tmp_path, MACHINE, monkeypatch) == 9_216_000


@pytest.mark.parametrize("group", ["/", "/user.slice/app", "/not/visible/here"])
def test_a_container_limit_counts_less_what_is_used_and_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    files = {
        "proc/self/cgroup": f"0::{group}\n",
        "cgroup/memory.max": "5000000\n",
        "cgroup/memory.current": "3000000\n",
        "cgroup/memory.stat": "anon 7\ninactive_file 400000\nactive_file 100000\n",
        "cgroup/user.slice/memory.max": "max\n",
        "cgroup/user.slice/memory.current": "1\n",
    }
    assert free_in(tmp_path, MACHINE | files, monkeypatch) == 2_500_000


def test_of_nested_limits_the_narrowest_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "proc/self/cgroup": "0::/a/b\n",
        "cgroup/a/memory.max": "2000000",
        "cgroup/a/memory.current": "1999999",
        "cgroup/a/b/memory.max": "5000000",
        "cgroup/a/b/memory.current": "0",
    }
    assert free_in(tmp_path, MACHINE | files, monkeypatch) == 1


def test_the_first_kind_of_control_groups_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "proc/self/cgroup": "5:cpu:/\n4:memory:/job\n1:name=systemd:/\n0::/\n",
        "cgroup/memory/memory.limit_in_bytes": f"{_UNLIMITED}\n",
        "cgroup/memory/memory.usage_in_bytes": "77\n",
        "cgroup/memory/job/memory.limit_in_bytes": "3000000\n",
        "cgroup/memory/job/memory.usage_in_bytes": "2500000\n",
        "cgroup/memory/job/memory.stat": "inactive_file 9\ntotal_inactive_file 1000\n",
    }
    assert free_in(tmp_path, MACHINE | files, monkeypatch) == 501_000


def test_a_limit_that_is_overdrawn_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "cgroup/memory.max": "1\n",
        "cgroup/memory.current": "2\n",
    }
    assert free_in(tmp_path, MACHINE | files, monkeypatch) == 0


def test_ulimit_counts() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (400_000_000,) * 2)\n"
        "from tabby_lsp.models.memory import memory_free_bytes\n"
        "assert 0 < memory_free_bytes() < 400_000_000"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
