"""TabbyAPI's routes, with keys of both kinds and models that do as they are told."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import constants

from tabby_lsp.models import catalog, download
from tabby_lsp.models.errors import DownloadError
from tabby_lsp.rack import Fit
from tests.http.inside import ADMIN, API, inside
from tests.models.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabby_lsp.rack import Role
    from tests.http.inside import Inside
    from tests.http.served import Served

LOADED: dict[Role, str] = {"completion": "starter", "chat": "talker"}
FINISHED = {"model_type": "model", "module": 1, "modules": 1, "status": "finished"}


@pytest.fixture
def folder(tmp_path: Path, chat_model: Path) -> Path:
    """Where models lie: `talker`, which chats, besides the starter."""
    (tmp_path / "models").mkdir()
    shutil.copy(chat_model, tmp_path / "models" / "talker.gguf")
    return tmp_path


async def names(server: Inside, path: str, **headers: str) -> list[str]:
    answer = await server.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "list"
    return [each["id"] for each in answer.json()["data"]]


async def check(server: Inside, status: int, path: str, body: object) -> str:
    answer = await server.post(path, body)
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert said["detail"] == said["message"] == said["error"]["message"]
    assert said["request_id"] and said["details"] is None
    return str(said["message"])


# Who is told what.


def test_a_key_is_told_what_it_allows(folder: Path) -> None:
    async def work(server: Inside) -> None:
        for headers, permission in ((ADMIN, "admin"), (API, "api")):
            answer = await server.http.get("/v1/auth/permission", headers=headers)
            assert answer.json() == {"permission": permission}

    inside(folder, LOADED, work, has_keys=True)


def test_on_this_machine_everybody_is_admin(folder: Path) -> None:
    async def work(server: Inside) -> None:
        answer = await server.http.get("/v1/auth/permission")
        assert answer.json() == {"permission": "admin"}

    inside(folder, LOADED, work)


def test_the_admin_sees_what_there_is_and_others_what_is_loaded(folder: Path) -> None:
    async def work(server: Inside) -> None:
        assert await names(server, "/v1/model/list", **ADMIN) == ["starter", "talker"]
        assert await names(server, "/v1/model/list", **API) == ["talker"]
        await server.post("/v1/model/unload", **ADMIN)
        await server.post("/v1/model/unload", **ADMIN)
        assert await names(server, "/v1/model/list", **API) == []

    inside(folder, LOADED, work, has_keys=True)


# Health.


def test_health_is_ok_in_the_words_of_the_go_guide(folder: Path) -> None:
    async def work(server: Inside) -> None:
        answer = await server.http.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "issues": []})

    inside(folder, LOADED, work)


def test_a_model_that_has_failed_is_an_issue(folder: Path) -> None:
    async def work(server: Inside) -> None:
        async with server.rack.using("chat") as model:
            model._set("failed", f"{folder}/models/talker.gguf has gone")
        answer = await server.http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        (issue,) = answer.json()["issues"]
        assert issue["description"] == "chat: talker has gone"
        assert issue["time"].startswith("20")

    inside(folder, LOADED, work)


# The current model.


@pytest.mark.parametrize("path", ["/v1/model", "/v1/models/current"])
def test_the_current_model_is_the_one_that_was_loaded_last(folder: Path, path: str) -> None:
    async def work(server: Inside) -> None:
        card = (await server.http.get(path)).json()
        assert (card["id"], card["object"]) == ("talker", "model")
        assert card["parameters"]["max_seq_len"] == 4096
        assert "<|im_start|>" in card["parameters"]["prompt_template_content"]
        assert (await server.post("/v1/models/load", {"model_name": "starter"})).json() == FINISHED
        assert (await server.http.get(path)).json()["id"] == "starter"

    inside(folder, LOADED, work)


@pytest.mark.parametrize("path", ["/props", "/v1/models/props"])
def test_props_are_those_of_the_current_model(folder: Path, path: str) -> None:
    async def work(server: Inside) -> None:
        props = (await server.http.get(path)).json()
        assert props["total_slots"] == 1
        assert "<|im_start|>" in props["chat_template"]
        assert props["default_generation_settings"] == {"n_ctx": 4096}

    inside(folder, LOADED, work)


@pytest.mark.parametrize(
    "path", ["/v1/model", "/v1/models/current", "/props", "/v1/model/embedding"]
)
def test_without_a_model_it_is_said_so(folder: Path, path: str) -> None:
    async def work(server: Inside) -> None:
        answer = await server.http.get(path)
        assert answer.status_code == 503
        assert "currently loaded" in answer.json()["detail"]

    inside(folder, {}, work)


# Load and unload.


def test_a_load_is_a_stream_at_the_servers_path(folder: Path) -> None:
    async def work(server: Inside) -> None:
        answer = await server.post("/v1/model/load", {"model_name": "TALKER"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
        assert [event["status"] for event in events] == ["processing", "finished"]
        assert events[-1] == FINISHED
        assert server.rack.name("chat") == "talker"

    inside(folder, {}, work)


def test_a_load_is_one_line_without_an_end_at_the_go_clients_path(folder: Path) -> None:
    async def work(server: Inside) -> None:
        answer = await server.post("/v1/models/load", {"model_name": "talker"})
        assert answer.headers["content-type"] == "application/json"
        assert "\n" not in answer.text
        assert answer.json() == FINISHED

    inside(folder, {}, work)


@pytest.mark.parametrize("path", ["/v1/model/load", "/v1/models/load"])
def test_only_names_are_loaded(folder: Path, path: str) -> None:
    async def work(server: Inside) -> None:
        absolute = str(folder / "models" / "talker.gguf")
        for name in (
            absolute,
            "models/talker",
            "../models/talker",
            "talker.gguf",
            "~/x",
            "",
            "a\0b",
        ):
            said = await check(server, 400, path, {"model_name": name})
            assert str(folder) not in said
        assert "only starter, talker" in await check(server, 400, path, {"model_name": "no-such"})
        said = await check(server, 400, path, {"model_name": "qwen2.5-coder-0.5b"})
        assert said == "Qwen2.5-Coder-0.5B is not installed: download it first."
        for body in ({}, {"model_name": None}, {"model_name": 1}, {"model_name": "x" * 201}):
            await check(server, 400, path, body)
        draft = {"model_name": "talker", "draft_model": {"draft_model_name": "starter"}}
        await check(server, 501, path, draft)
        assert not server.memory.loaded

    inside(folder, {}, work)


def test_a_file_that_is_no_model_is_refused_without_its_path(folder: Path) -> None:
    async def work(server: Inside) -> None:
        (folder / "models" / "odd.gguf").write_text("no model")
        said = await check(server, 400, "/v1/models/load", {"model_name": "odd"})
        assert said.startswith("odd ")
        assert str(folder) not in said

    inside(folder, LOADED, work)


def test_a_load_that_fails_is_told_and_changes_nothing(folder: Path) -> None:
    async def work(server: Inside) -> None:
        shutil.copy(folder / "models" / "talker.gguf", folder / "models" / "broken.gguf")
        await check(server, 503, "/v1/models/load", {"model_name": "broken"})
        answer = await server.post("/v1/model/load", {"model_name": "broken"})
        assert answer.status_code == 200
        assert "is broken" in json.loads(answer.text.splitlines()[-2][6:])["error"]["message"]
        assert server.rack.name("chat") == "talker"

    inside(folder, LOADED, work)


@pytest.mark.parametrize("path", ["/v1/model/load", "/v1/models/load"])
def test_a_client_that_hangs_up_does_not_stop_the_load(folder: Path, path: str) -> None:
    async def work(server: Inside) -> None:
        server.memory.may_load.clear()
        asking = asyncio.ensure_future(server.post(path, {"model_name": "talker"}))
        await server.memory.is_loading.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert not server.rack.name("chat")
        server.memory.may_load.set()
        await server.rack.put("chat", "talker")  # waits for the load that goes on
        assert server.memory.n_loads == 1
        assert (await server.http.get("/v1/model")).json()["id"] == "talker"

    inside(folder, {}, work)


@pytest.mark.parametrize(
    ("settings", "fit"),
    [
        ({}, Fit()),
        ({"max_seq_len": 512}, Fit(n_ctx=512)),
        ({"max_seq_len": -1}, Fit(n_ctx=4_096)),
        ({"max_seq_len": 2_048, "cache_size": 1_024}, Fit(n_ctx=1_024)),
        ({"max_seq_len": 1_024, "cache_size": 65_536}, Fit(n_ctx=1_024)),
        ({"chunk_size": 512}, Fit(n_ubatch=512)),
        ({"chunk_size": 1_000_000}, Fit(n_ubatch=4_096)),
        (
            {"max_seq_len": None, "cache_mode": "FP16", "rope_scale": 1.0, "rope_alpha": 1.0,
             "gpu_split": [], "gpu_split_auto": True, "prompt_template": "talker",
             "vision": False, "draft_model": None, "backend": "exllamav3", "skip_queue": True},
            Fit(),
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_model_is_loaded_as_it_is_asked_for(
    folder: Path, settings: dict[str, Any], fit: Fit
) -> None:
    async def work(server: Inside) -> None:
        answer = await server.post("/v1/models/load", {"model_name": "talker"} | settings)
        assert answer.json() == FINISHED
        async with server.rack.using("chat") as model:
            assert model.fit == fit
        card = (await server.http.get("/v1/model")).json()
        assert card["parameters"]["max_seq_len"] == (fit.n_ctx or 4_096)
        props = (await server.http.get("/props")).json()
        assert props["default_generation_settings"] == {"n_ctx": fit.n_ctx or 4_096}

    inside(folder, LOADED, work)


@pytest.mark.parametrize(
    ("status", "settings", "words"),
    [
        (400, {"max_seq_len": 4_097}, "was trained for a `max_seq_len` of 4096"),
        (400, {"max_seq_len": 0}, "max_seq_len"),
        (400, {"max_seq_len": "long"}, "max_seq_len"),
        (400, {"chunk_size": -5}, "chunk_size"),
        (501, {"cache_mode": "Q4"}, "`cache_mode`"),
        (501, {"rope_scale": 2.0}, "`rope_scale`"),
        (501, {"rope_alpha": 1.75}, "`rope_alpha`"),
        (501, {"gpu_split": [20, 4]}, "`gpu_split`"),
        (501, {"prompt_template": "alpaca"}, "`prompt_template`"),
        (501, {"vision": True}, "`vision`"),
    ],
    ids=str,
)
def test_what_a_load_cannot_do_is_said_and_changes_nothing(
    folder: Path, status: int, settings: dict[str, Any], words: str
) -> None:
    async def work(server: Inside) -> None:
        before = server.memory.n_loads
        for path in ("/v1/model/load", "/v1/models/load"):
            said = await check(server, status, path, {"model_name": "talker"} | settings)
            assert words in said
        assert server.memory.n_loads == before

    inside(folder, LOADED, work)


def test_an_embedding_model_can_be_kept_off_the_graphics_card(folder: Path) -> None:
    async def work(server: Inside) -> None:
        for device, is_on_processor in (("cpu", True), ("gpu", False), (None, False)):
            body = {"embedding_model_name": "talker", "embeddings_device": device}
            answer = await server.post("/v1/model/embedding/load", body)
            assert answer.status_code == 200
            async with server.rack.using("embedding") as model:
                assert model.fit == Fit(is_on_processor=is_on_processor)

    inside(folder, LOADED, work)


def test_a_role_can_be_asked_for(folder: Path) -> None:
    async def work(server: Inside) -> None:
        body = {"model_name": "talker", "role": "completion"}
        assert (await server.post("/v1/models/load", body)).json() == FINISHED
        assert (server.rack.name("completion"), server.rack.name("chat")) == ("talker", "")
        await check(server, 400, "/v1/models/load", {"model_name": "talker", "role": "nurse"})

    inside(folder, {}, work)


def test_too_many_loads_are_told_to_come_back(folder: Path) -> None:
    async def work(server: Inside) -> None:
        for n in range(5):
            shutil.copy(folder / "models" / "talker.gguf", folder / "models" / f"talker-{n}.gguf")
        server.memory.may_load.clear()
        bodies = [{"model_name": f"talker-{n}"} for n in range(5)]
        asking = [asyncio.ensure_future(server.post("/v1/models/load", body)) for body in bodies]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = [task.result() for task in done]
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        server.memory.may_load.set()
        answers = await asyncio.gather(*asking)
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 429]
        await asyncio.gather(*server.rack._leaving)
        assert len(server.memory.loaded) == 1

    inside(folder, {}, work)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/model/unload"),
        ("DELETE", "/v1/model/unload"),
        ("POST", "/v1/models/unload"),
        ("DELETE", "/v1/models/current"),
        ("DELETE", "/v1/model"),
    ],
)
def test_unloading_takes_the_current_model_and_then_the_one_before(
    folder: Path, method: str, path: str
) -> None:
    async def work(server: Inside) -> None:
        for left in ("starter", ""):
            answer = await server.http.request(method, path)
            assert (answer.status_code, answer.text) == (200, "null")
            assert (server.rack.name("completion"), server.rack.name("chat")) == (left, "")
        assert (await server.http.request(method, path)).status_code == 503
        await asyncio.gather(*server.rack._leaving)
        assert not server.memory.loaded

    inside(folder, LOADED, work)


# Embedding and draft models.


def test_an_embedding_model_stands_beside_the_others(folder: Path) -> None:
    async def work(server: Inside) -> None:
        answer = await server.post("/v1/model/embedding/load", {"embedding_model_name": "talker"})
        assert answer.json() == FINISHED | {"model_type": "embedding_model"}
        for path in ("/v1/model/embedding", "/v1/models/embedding/current"):
            assert (await server.http.get(path)).json()["id"] == "talker"
        assert (await server.http.get("/v1/model")).json()["id"] == "talker"
        answer = await server.http.request("DELETE", "/v1/models/embedding/current")
        assert (answer.status_code, answer.text) == (200, "null")
        assert server.rack.name("embedding") == ""
        assert server.rack.name("chat") == "talker"
        assert (await server.post("/v1/model/embedding/unload")).status_code == 503

    inside(folder, LOADED, work)


def test_lists_by_kind_are_true(folder: Path) -> None:
    async def work(server: Inside) -> None:
        drafts = ("/v1/model/draft/list", "/v1/models/draft")
        vectors = ("/v1/model/embedding/list", "/v1/models/embedding")
        adapters = ("/v1/loras", "/v1/lora/list", "/v1/lora", "/v1/loras/active")
        for path in (*drafts, *vectors, *adapters):
            assert await names(server, path) == []

    inside(folder, LOADED, work)


# Tokens.


@pytest.mark.parametrize("where", ["token", "tokens"])
def test_a_text_becomes_tokens_and_a_text_again(folder: Path, where: str) -> None:
    async def work(server: Inside) -> None:
        answer = await server.post(f"/v1/{where}/encode", {"text": "a<b"})
        assert answer.json() == {"tokens": [1, 97, 60, 98], "length": 4}
        body = {"text": "a<b", "add_bos_token": False, "encode_special_tokens": False}
        answer = await server.post(f"/v1/{where}/encode", body)
        assert answer.json() == {"tokens": [97, 98], "length": 2}
        answer = await server.post(f"/v1/{where}/decode", {"tokens": [1, 97]})
        assert answer.json() == {"text": "\x01a"}
        body = {"tokens": [1, 97], "decode_special_tokens": False}
        assert (await server.post(f"/v1/{where}/decode", body)).json() == {"text": "a"}

    inside(folder, LOADED, work)


def test_tokens_that_there_are_not_are_refused(folder: Path) -> None:
    async def work(server: Inside) -> None:
        for tokens in ([-1], [2**31], [0x110000], ["a"], [1.5], None, [0] * 200_001):
            await check(server, 400, "/v1/token/decode", {"tokens": tokens})
        texts: list[object] = [None, 1, ["a"], {}]
        for text in texts:
            await check(server, 400, "/v1/token/encode", {"text": text})
        for odd in ([], [{"role": "robot", "content": "a"}], [{"role": "user"}]):
            await check(server, 400, "/v1/token/encode", {"text": odd})

    inside(folder, LOADED, work)


def test_without_a_model_there_are_no_tokens(folder: Path) -> None:
    async def work(server: Inside) -> None:
        await check(server, 503, "/v1/token/encode", {"text": "a"})
        await check(server, 503, "/v1/token/decode", {"tokens": []})

    inside(folder, {}, work)


# Templates, adapters and presets.


def test_the_chat_models_own_template_is_listed(folder: Path) -> None:
    async def work(server: Inside) -> None:
        for path in ("/v1/templates", "/v1/template/list"):
            assert (await server.http.get(path)).json() == {"object": "list", "data": ["talker"]}
        await check(server, 501, "/v1/template/switch", {"prompt_template_name": "chatml"})

    inside(folder, LOADED, work)


def test_there_are_no_presets(folder: Path) -> None:
    async def work(server: Inside) -> None:
        for path in (
            "/v1/sampling/overrides",
            "/v1/sampling/override/list",
            "/v1/sampler/overrides",
        ):
            answer = (await server.http.get(path)).json()
            assert answer == {"selected_preset": None, "overrides": {}, "presets": []}
        said = await check(server, 501, "/v1/sampling/override/switch", {"preset": "safe"})
        assert "with each request" in said

    inside(folder, LOADED, work)


# Downloads.


def test_nothing_but_the_catalogue_is_downloaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "pull", None)

    async def work(server: Inside) -> None:
        for name in ("evil/model", "http://evil.example/x", "../../x", "", "talker"):
            said = await check(server, 403, "/v1/download", {"repo_id": name})
            assert "catalogue" in said
        said = await check(server, 400, "/v1/download", {"repo_id": "TabbyML/models"})
        assert "StarCoder-1B, StarCoder-3B" in said
        for more in ({"repo_type": "dataset"}, {"revision": "abc"}):
            await check(server, 400, "/v1/download", {"repo_id": "StarCoder-1B", **more})

    inside(folder, LOADED, work)


@pytest.mark.parametrize("path", ["/v1/download", "/v1/models/download"])
@pytest.mark.parametrize(
    "body",
    [
        {"repo_id": "starcoder2-3b"},
        {"repo_id": "nold/starcoder2-3b-GGUF", "repo_type": "model", "revision": "main"},
        {"repo_id": "NOLD/starcoder2-3b-gguf", "include": ["starcoder2-3b_Q8_0.gguf"]},
    ],
)
def test_a_model_of_the_catalogue_is_fetched_once_and_told_by_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, path: str, body: Any
) -> None:
    pulled = []
    monkeypatch.setattr(download, "pull", lambda entry, *_: pulled.append(entry.name))

    async def work(server: Inside) -> None:
        answers = await asyncio.gather(server.post(path, body), server.post(path, body))
        for answer in answers:
            assert answer.json() == {"download_path": "StarCoder2-3B"}
        assert pulled == ["StarCoder2-3B"]

    inside(folder, LOADED, work)


def test_a_download_that_fails_is_told_without_a_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DownloadError(f"the disk is full ({folder / 'models' / '.parts'}); make room")

    monkeypatch.setattr(download, "pull", fail)

    async def work(server: Inside) -> None:
        said = await check(server, 503, "/v1/download", {"repo_id": "StarCoder2-3B"})
        assert said == "the disk is full (the folder of models/.parts); make room"

    inside(folder, LOADED, work)


@pytest.fixture
def offered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub and a catalogue with one model, `Tiny-Talker`."""
    with Hub() as hub:
        entry, _ = hub.offer("Tiny-Talker", (folder / "models" / "talker.gguf").read_bytes())
        (folder / "catalog.toml").write_text(
            "[[model]]\n"
            + "".join(f'{key} = "{getattr(entry, key)}"\n' for key in catalog.Entry.__slots__)
        )
        monkeypatch.setattr(catalog, "CATALOG", folder / "catalog.toml")
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
        catalog.entries.cache_clear()
        yield hub
        catalog.entries.cache_clear()


def test_what_was_downloaded_can_be_loaded(folder: Path, offered: Hub) -> None:
    async def work(server: Inside) -> None:
        said = await check(server, 400, "/v1/models/load", {"model_name": "tiny-talker"})
        assert said == "Tiny-Talker is not installed: download it first."
        answer = await server.post("/v1/models/download", {"repo_id": "tests/tiny-talker"})
        assert answer.json() == {"download_path": "Tiny-Talker"}, answer.text
        assert (folder / "models" / "Tiny-Talker.gguf").exists()
        body = {"model_name": answer.json()["download_path"]}
        assert (await server.post("/v1/models/load", body)).json() == FINISHED
        assert server.rack.name("completion") == "Tiny-Talker"

    inside(folder, LOADED, work)


# With the real model.


def test_the_real_models_tokens_make_up_the_text_again(served: Served) -> None:
    text = "def naïve(x):  # ☃ 𝄞\n    return '<fim_prefix>'\n"
    body = {"text": text, "add_bos_token": False, "encode_special_tokens": False}
    tokens = served.post("/v1/token/encode", body).json()["tokens"]
    assert served.post("/v1/token/decode", {"tokens": tokens}).json() == {"text": text}
    fewer = served.post("/v1/token/encode", body | {"encode_special_tokens": True}).json()
    assert fewer["length"] < len(tokens)
    answer = served.post("/v1/token/decode", {"tokens": [2**31 - 1]})
    assert (answer.status_code, "no token" in answer.json()["message"]) == (400, True)


def test_a_model_that_answers_already_is_loaded_at_once(served: Served) -> None:
    for name in served.models[::-1]:
        with served.http.stream("POST", "/v1/model/load", json={"model_name": name}) as answer:
            lines = [line for line in answer.iter_lines() if line]
        assert [json.loads(line.removeprefix("data: "))["status"] for line in lines] == [
            "processing",
            "finished",
        ]
        assert served.json("/v1/model")["id"] == name
    assert served.json("/v1/health")["chat_model"] == served.models[1]
