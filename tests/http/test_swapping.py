"""Models that are exchanged in a real server, while others ask it."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.e2e.wire import wait_until
from tests.http.served import PATIENCE_S, serving
from tests.models.model_files import STARTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.served import Served

N_CLIENTS = 20
N_SWAPS = 12
CLASS = "class A:\n    def __init__(self, width):\n        self.width"
SEGMENTS = {"language": "python", "segments": {"prefix": CLASS, "suffix": "\n"}}


@pytest.fixture
def swapping(home: Path, chat_model: Path) -> Iterator[Served]:
    """A server with `one` and `two`, which complete, and `talk`, which chats."""
    folder = home / ".local/share/tabby-lsp/models"
    folder.mkdir(parents=True)
    for name, source in (("one", STARTER), ("two", STARTER), ("talk", chat_model)):
        shutil.copy(source, folder / f"{name}.gguf")
    with serving(home, "--model", "one") as server:
        yield server


def loaded_files(served: Served) -> set[str]:
    """The model files that the process has in its memory."""
    maps = Path(f"/proc/{served.process.pid}/maps").read_text()
    return {Path(line.split()[-1]).stem for line in maps.splitlines() if line.endswith(".gguf")}


def load(served: Served, name: str) -> None:
    answer = served.post("/v1/models/load", {"model_name": name})
    assert (answer.status_code, answer.json()["status"]) == (200, "finished"), answer.text


def test_a_model_is_swapped_while_twenty_clients_ask(swapping: Served) -> None:
    is_over = Event()

    def ask(_: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        with httpx2.Client(base_url=swapping.url, timeout=PATIENCE_S, trust_env=False) as client:
            while not is_over.is_set():
                answer = client.post("/v1/completions", json=SEGMENTS)
                statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    assert answer.json()["choices"] == [{"index": 0, "text": " = width"}]
                else:
                    assert answer.status_code in (429, 503), answer.text
                    assert answer.headers["retry-after"]
                    assert answer.json()["message"]
        return statuses

    with ThreadPoolExecutor(N_CLIENTS) as pool:
        asking = [pool.submit(ask, n) for n in range(N_CLIENTS)]
        try:
            for n in range(N_SWAPS):
                name = ("two", "one")[n % 2]
                load(swapping, name)
                assert swapping.json("/v1/model")["id"] == name
        finally:
            is_over.set()
        statuses = sum((each.result() for each in asking), Counter[int]())
    assert statuses[200] >= N_CLIENTS, statuses
    if sys.platform == "linux":
        assert wait_until(lambda: loaded_files(swapping) == {"one"}, PATIENCE_S)


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has mapped is Linux's to tell")
def test_what_is_unloaded_is_given_back(swapping: Served) -> None:
    assert loaded_files(swapping) == {"one"}
    load(swapping, "talk")
    assert loaded_files(swapping) == {"one", "talk"}
    assert swapping.json("/v1/health")["chat_model"] == "talk"
    for n_left in (1, 0):
        assert swapping.http.request("DELETE", "/v1/models/current").text == "null"
        assert wait_until(lambda n=n_left: len(loaded_files(swapping)) == n, PATIENCE_S)  # type: ignore[misc]
    assert swapping.http.get("/v1/model").status_code == 503
    assert swapping.post("/v1/completions", SEGMENTS).status_code == 501


def test_two_loads_at_once_both_end_well(swapping: Served) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: load(swapping, name), ("two", "one")))
    assert swapping.json("/v1/model")["id"] in ("one", "two")


def test_an_unload_during_a_load_waits_for_it(swapping: Served) -> None:
    with ThreadPoolExecutor(2) as pool:
        loading = pool.submit(load, swapping, "two")
        answer = swapping.post("/v1/model/unload", {})
        loading.result()
    assert answer.status_code == 200
    assert swapping.post("/v1/completions", SEGMENTS).status_code in (200, 501)


def test_a_server_that_is_told_to_end_while_it_loads_ends(swapping: Served) -> None:
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(swapping.post, "/v1/models/load", {"model_name": "two"})
        swapping.process.terminate()
        assert swapping.process.wait(PATIENCE_S) == 0
        loading.exception()
