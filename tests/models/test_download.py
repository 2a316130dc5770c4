"""Whatever the hub does, what is installed is the model, or nothing is and a sentence says why."""

from __future__ import annotations

import email.utils
import errno
import fcntl
import hashlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabby_lsp.models import hub as real_hub
from tabby_lsp.models.download import pull
from tabby_lsp.models.errors import DownloadError
from tabby_lsp.models.transfer import Patience
from tests.models.hub import Answer, Gate, Hub, breaks_at, busy, sends, sends_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabby_lsp.models.catalog import Entry
    from tests.models.hub import Fault, Shelf

CONTENT = b"GGUF" + random.Random(1).randbytes(200_000)
HASTE = Patience(first_wait_s=0.001, max_tries=4)


@dataclass
class Heard:
    """What a person was told."""

    lines: list[str] = field(default_factory=list)
    steps: list[tuple[str, int, int]] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)

    def step(self, what: str, done_bytes: int, size_bytes: int) -> None:
        self.steps.append((what, done_bytes, size_bytes))


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


def point_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does at the start of a process."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture(autouse=True)
def at_the_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(hub.endpoint, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 60)
    for variable in ("HF_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def offered(hub: Hub, tmp_path: Path) -> tuple[Entry, Shelf]:
    return hub.offer(tmp_path.name, CONTENT)


def litter(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "models" / ".parts").glob("*")]


def check_installed(entry: Entry, tmp_path: Path) -> Heard:
    """It is there to the byte, nothing else is, and what was said on the way."""
    heard = Heard()
    path = pull(entry, tmp_path, HASTE, heard)
    assert path == tmp_path / "models" / f"{entry.name}.gguf"
    assert path.read_bytes() == CONTENT
    assert litter(tmp_path) == []
    return heard


def check_refused(entry: Entry, tmp_path: Path, *phrases: str) -> str:
    """Nothing is there, and one sentence, which is given back, says why and what to do."""
    with pytest.raises(DownloadError) as caught:
        pull(entry, tmp_path, HASTE, Heard())
    message = str(caught.value)
    assert [phrase for phrase in phrases if phrase not in message] == [], message
    assert message.isprintable()
    assert list((tmp_path / "models").glob("*.gguf")) == []
    return message


Offered = tuple["Entry", "Shelf"]


def test_a_model_is_fetched_once_with_its_progress(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    heard = check_installed(entry, tmp_path)
    assert [step for step in heard.steps if step[0] == entry.name][-1] == (
        entry.name,
        len(CONTENT),
        len(CONTENT),
    )
    assert heard.steps[-1][0] == f"checking {entry.name}"
    check_installed(entry, tmp_path)
    assert len(shelf.requests) == 1


def test_nobody_is_told_more_than_needed(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, shelf = offered
    check_installed(entry, tmp_path)
    (request,) = shelf.front_requests
    assert set(request.headers) == {"host", "accept", "accept-encoding", "connection", "user-agent"}
    assert request.headers["user-agent"].startswith("tabby-lsp/")


@pytest.mark.parametrize("at_bytes", [0, 1, 70_000, len(CONTENT) - 1])
def test_a_short_body_is_gone_on_with(offered: Offered, tmp_path: Path, at_bytes: int) -> None:
    entry, shelf = offered
    shelf.faults.append(breaks_at(at_bytes))
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [0, at_bytes]
    assert shelf.requests[1].headers.get("if-range") == (shelf.etag if at_bytes else None)
    assert shelf.n_body_bytes == len(CONTENT)


def test_a_connection_that_breaks_again_and_again_is_given_up_and_taken_up(
    offered: Offered, tmp_path: Path
) -> None:
    entry, shelf = offered
    shelf.faults += [breaks_at(n) for n in (10_000, 20_000, 30_000, 40_000)]
    check_refused(entry, tmp_path, "the connection to", "run the same command again later")
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [0, 10_000, 20_000, 30_000, 40_000]


def test_a_stall_is_noticed(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, shelf = offered
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1.0)
    stalled = Gate(50_000)
    shelf.faults.append(stalled)
    heard = check_installed(entry, tmp_path)
    stalled.opened.set()
    assert any("nothing came from" in line for line in heard.lines)
    assert [request.start for request in shelf.requests] == [0, 50_000]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(offered: Offered, tmp_path: Path, status: int) -> None:
    entry, shelf = offered
    shelf.front_faults.append(busy(status))
    shelf.faults.append(busy(status))
    heard = check_installed(entry, tmp_path)
    assert sum(f"HTTP {status}" in line for line in heard.lines) == 2


def test_a_server_that_stays_busy_is_given_up(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    shelf.front_faults += [busy(503)] * 10
    check_refused(entry, tmp_path, "is busy (HTTP 503)", "again later")
    assert len(shelf.front_requests) == HASTE.max_tries


def test_the_wait_that_a_server_asks_for_is_kept(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    shelf.front_faults.append(busy(429, retry_after="1"))
    started_s = time.monotonic()
    heard = check_installed(entry, tmp_path)
    assert time.monotonic() - started_s >= 1
    assert heard.lines == ["127.0.0.1 is busy (HTTP 429); trying again in 1 s"]


def test_a_moment_in_the_past_is_no_wait(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    shelf.front_faults.append(busy(429, retry_after=email.utils.formatdate(0)))
    check_installed(entry, tmp_path)


@pytest.mark.parametrize(
    "wanted", ["86400", email.utils.formatdate(time.time() + 86_400)], ids=["seconds", "date"]
)
def test_a_server_that_asks_for_a_day_is_left_alone(
    offered: Offered, tmp_path: Path, wanted: str
) -> None:
    entry, shelf = offered
    shelf.front_faults.append(busy(429, retry_after=wanted))
    check_refused(entry, tmp_path, "HTTP 429", "again in 14")


@pytest.mark.parametrize("wanted", ["soon", "-5", "1e9", "", "²"])
def test_a_wait_that_is_none_is_our_own(offered: Offered, tmp_path: Path, wanted: str) -> None:
    entry, shelf = offered
    shelf.front_faults.append(busy(503, retry_after=wanted.encode().decode("latin-1")))
    check_installed(entry, tmp_path)


# What is not the model.


def test_other_bytes_are_thrown_away(hub: Hub, tmp_path: Path) -> None:
    entry, _ = hub.offer("other", CONTENT, sha256="0" * 64)
    check_refused(entry, tmp_path, "is another file (SHA-256", "instead of 000000000000…")
    assert litter(tmp_path) == []


def test_a_login_page_is_called_one(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    shelf.front_faults.append(lambda a: a.reply(200, body=b"<!doctype html><html>Hotel Wi-Fi"))
    check_refused(entry, tmp_path, "is a web page", "check your network")


def test_what_the_hub_has_changed_is_not_fetched_at_all(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    shelf.linked_etag = f'"{"ab" * 32}"'
    check_refused(entry, tmp_path, f"now has another {entry.file}", "update tabby-lsp")
    assert shelf.requests == []


def interrupted(entry: Entry, shelf: Shelf, tmp_path: Path, at_bytes: int = 90_000) -> None:
    """A pull that came as far as this."""
    shelf.faults += [breaks_at(at_bytes)] + [busy(503)] * 3
    check_refused(entry, tmp_path)
    del shelf.requests[:]


def test_another_etag_begins_anew(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    shelf.etag = '"another"'
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [90_000]
    assert shelf.n_body_bytes == len(CONTENT)


def test_another_etag_begins_anew_where_the_server_does_not_care(
    offered: Offered, tmp_path: Path
) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    shelf.etag, shelf.minds_if_range = '"another"', False
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [90_000, 0]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_name_to_rely_on_it_is_gone_on_with_and_hashed(
    offered: Offered, tmp_path: Path, etag: str
) -> None:
    entry, shelf = offered
    shelf.etag = etag
    interrupted(entry, shelf, tmp_path)
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [90_000]
    assert "if-range" not in shelf.requests[0].headers


def test_a_server_without_ranges_sends_all_of_it(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    shelf.keeps_ranges = False
    check_installed(entry, tmp_path)


def test_a_part_that_was_damaged_on_disk_is_fetched_again(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    part = tmp_path / "models" / ".parts" / f"{entry.sha256}.part"
    part.write_bytes(bytes(90_000))
    heard = check_installed(entry, tmp_path)
    assert heard.lines == ["the pieces do not make up the model; fetching it again in one piece"]
    assert [request.start for request in shelf.requests] == [90_000, 0]


def test_a_part_that_is_too_long_is_fetched_again(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    part = tmp_path / "models" / ".parts" / f"{entry.sha256}.part"
    part.write_bytes(bytes(900_000))
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [0]


@pytest.mark.parametrize(
    "state",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"size_bytes": "9", "etag": ""}',
     b'{"size_bytes": -1, "etag": ""}', b'{"size_bytes": 9}'],
)  # fmt: skip
def test_a_state_that_was_damaged_on_disk_begins_anew(
    offered: Offered, tmp_path: Path, state: bytes
) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    (tmp_path / "models" / ".parts" / f"{entry.sha256}.json").write_bytes(state)
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [0]


def test_a_whole_part_needs_no_network(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    part = tmp_path / "models" / ".parts" / f"{entry.sha256}.part"
    part.write_bytes(CONTENT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    check_installed(entry, tmp_path)
    assert shelf.requests == []


def continues_with(described: str, body: bytes) -> Fault:
    def answer(answer: Answer) -> None:
        answer.reply(206, {"Content-Range": described, "ETag": answer.shelf.etag}, body)

    return answer


@pytest.mark.parametrize(
    "described",
    ["bytes 0-9/200004", "bytes 90000-90009/300000", "bytes 90000-90009/*", "nonsense", ""],
)
def test_a_continuation_that_does_not_fit_is_not_believed(
    offered: Offered, tmp_path: Path, described: str
) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    shelf.faults.append(continues_with(described, b"0123456789"))
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [90_000, 0]


def test_a_range_that_cannot_be_satisfied_begins_anew(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    shelf.faults.append(busy(416))
    check_installed(entry, tmp_path)
    assert [request.start for request in shelf.requests] == [90_000, 0]


def test_a_continuation_that_is_too_long_begins_anew(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    interrupted(entry, shelf, tmp_path)
    shelf.faults.append(continues_with("bytes 90000-200003/200004", bytes(500_000)))
    check_installed(entry, tmp_path)


def test_a_file_without_a_size_is_not_taken(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered

    def flood(answer: Answer) -> None:
        answer.send_response(200)
        answer.send_header("Transfer-Encoding", "chunked")
        answer.end_headers()
        answer.wfile.write(b"4\r\nGGUF\r\n0\r\n\r\n")

    shelf.faults.append(flood)
    check_refused(entry, tmp_path, "does not say how large the file is")


def test_a_disk_without_room_is_said_before_anything_is_written(
    offered: Offered, tmp_path: Path
) -> None:
    entry, shelf = offered

    def boast(answer: Answer) -> None:
        answer.send_response(200)
        answer.send_header("Content-Length", str(10**15))
        answer.end_headers()
        answer.close_connection = True

    shelf.faults.append(boast)
    check_refused(entry, tmp_path, "1,050,000.0 GB are needed", "make room there")
    assert [name for name in litter(tmp_path) if name.endswith(".part")] == []


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(401, "hf auth login"), (403, "accept the licence at"), (404, "has no tests/"),
     (410, "has no tests/"), (400, "HTTP 400"), (451, "HTTP 451")],
)  # fmt: skip
def test_what_will_not_change_is_not_tried_again(
    offered: Offered, tmp_path: Path, status: int, phrase: str
) -> None:
    entry, shelf = offered
    shelf.front_faults.append(busy(status))
    check_refused(entry, tmp_path, phrase)
    assert len(shelf.front_requests) == 1


def test_nobody_there(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, _ = hub.offer("nobody", CONTENT)
    point_at("http://127.0.0.1:9", monkeypatch)
    check_refused(entry, tmp_path, "http://127.0.0.1:9 cannot be reached")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:9"), ("HTTP_PROXY", "gopher://x"),
     ("SSL_CERT_FILE", "/no/such/file")],
)  # fmt: skip
def test_a_way_out_that_is_none_is_named(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    check_refused(offered[0], tmp_path, "no connection can be set up", "HTTPS_PROXY")


# Where it comes from.


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/x",
        "http://10.0.0.1/x",
        "http://[::1]:1/x",
        "http://[fe80::1]/x",
        "http://127.0.0.1:9/x",
        "http://127.0.0.2/x",
        "http://localhost/x",
        "https://evil.example/x",
        "https://huggingface.co.evil.example/x",
        "https://evilhf.co/x",
        "http://huggingface.co/x",
        "https://huggingface.co:8443/x",
        "https://user:word@huggingface.co/x",
        "https://huggingface.co@evil.example/x",
        "https://huggingface.co%2f@evil.example/x",
        "https://evil.example\\@huggingface.co/x",
        "//evil.example/x",
        "ftp://huggingface.co/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1/x",
        "http://2130706433/x",
        "http://0x7f.1/x",
        "https://",
        "http://[::",
    ],
)
def test_a_redirect_elsewhere_is_refused(offered: Offered, tmp_path: Path, location: str) -> None:
    entry, shelf = offered
    shelf.front_faults.append(sends_to(location))
    check_refused(entry, tmp_path, "127.0.0.1 sends to '", "nothing was fetched from there")
    assert shelf.requests == []


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://huggingface.co/a/b/resolve/main/f.gguf", True),
        ("https://cdn-lfs-us-1.hf.co/x?signed", True),
        ("https://cas-bridge.xethub.hf.co/x", True),
        ("https://us.gcp.cdn.hf.co/x", True),
        ("https://cdn-lfs.huggingface.co/x", True),
        ("https://CDN-LFS.HF.CO:443/x", True),
        ("https://hf.space/x", False),
        ("https://hf.co.uk/x", False),
        ("http://cdn-lfs.hf.co/x", False),
    ],
)
def test_hugging_faces_storage_is_allowed(url: str, allowed: bool) -> None:
    assert real_hub.is_allowed(httpx2.URL(url)) == allowed


def test_a_renamed_repository_is_followed(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    shelf.front_faults.append(sends_to(f"/{entry.repository}/resolve/main/{entry.file}"))
    check_installed(entry, tmp_path)


def test_a_circle_is_left(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    here = f"/{entry.repository}/resolve/main/{entry.file}"
    shelf.front_faults += [sends_to(here)] * 50
    check_refused(entry, tmp_path, "sends in circles")
    assert len(shelf.front_requests) <= 6


@pytest.mark.parametrize("endpoint", ["huggingface.co", "", "ftp://a.b", "/", "http://"])
def test_an_endpoint_that_is_none_is_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    entry, _ = hub.offer("nowhere", CONTENT)
    point_at(endpoint, monkeypatch)
    check_refused(entry, tmp_path, f"HF_ENDPOINT = '{endpoint}' is", "https://huggingface.co")


def test_the_token_is_for_the_endpoint_alone(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, shelf = offered
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    check_installed(entry, tmp_path)
    assert shelf.front_requests[0].headers["authorization"] == "Bearer hf_secret"
    storage = httpx2.URL("https://cdn-lfs.hf.co/x")
    assert real_hub.headers_for(storage) == {}
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    assert real_hub.headers_for(httpx2.URL(real_hub.endpoint())) == {}


@pytest.mark.parametrize("token", ["hf_sécret", "hf_\x01", "hf_\udce9"])
def test_a_token_that_is_none_is_said_and_not_shown(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    entry, _ = offered
    monkeypatch.setenv("HF_TOKEN", token)
    said = check_refused(entry, tmp_path, "HF_TOKEN", "a character that no token has")
    assert token not in said


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["a folder", "no text"])
def test_a_token_that_cannot_be_read_is_named(
    offered: Offered, tmp_path: Path, content: bytes | None
) -> None:
    entry, _ = offered
    file = tmp_path / "token"
    file.mkdir() if content is None else file.write_bytes(content)
    check_refused(entry, tmp_path, str(file), "cannot be read", "HF_HOME")


@pytest.mark.parametrize("timeout_s", [-1, 10**20])
def test_a_timeout_without_sense_is_named(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout_s: int
) -> None:
    entry, _ = offered
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", timeout_s)
    check_refused(entry, tmp_path, "HF_HUB_DOWNLOAD_TIMEOUT", "86400 seconds")


# What is there already.


def cached(entry: Entry, tmp_path: Path, content: bytes) -> Path:
    """The file as huggingface_hub keeps it."""
    repository = tmp_path / "cache" / f"models--{entry.repository.replace('/', '--')}"
    blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
    snapshot = repository / "snapshots" / "abc" / entry.file
    for folder in (blob.parent, snapshot.parent, repository / "refs"):
        folder.mkdir(parents=True)
    blob.write_bytes(content)
    snapshot.symlink_to(blob)
    (repository / "refs" / "main").write_text("abc")
    return blob


@pytest.mark.parametrize("offline", [True, False])
def test_a_file_of_the_hubs_cache_is_used(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    entry, shelf = offered
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    blob = cached(entry, tmp_path, CONTENT)
    check_installed(entry, tmp_path)
    assert shelf.front_requests == []
    assert os.path.samefile(blob, tmp_path / "models" / f"{entry.name}.gguf")
    blob.unlink()
    check_installed(entry, tmp_path)


def test_a_file_on_another_disk_is_copied(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, shelf = offered
    blob = cached(entry, tmp_path, CONTENT)

    def no_links(*paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    check_installed(entry, tmp_path)
    assert shelf.front_requests == []
    assert blob.read_bytes() == CONTENT


def test_a_cached_file_that_is_another_is_left_alone(offered: Offered, tmp_path: Path) -> None:
    entry, _ = offered
    blob = cached(entry, tmp_path, b"GGUF of another version")
    heard = check_installed(entry, tmp_path)
    assert heard.lines == [f"{blob} is not the file of the catalogue, and is left alone"]
    assert blob.read_bytes() == b"GGUF of another version"


def test_offline_is_offline(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, shelf = offered
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    check_refused(entry, tmp_path, "HF_HUB_OFFLINE forbids", str(tmp_path / "cache"))
    assert shelf.front_requests == []


def test_somebody_elses_file_is_not_overwritten(offered: Offered, tmp_path: Path) -> None:
    entry, shelf = offered
    own = tmp_path / "models" / f"{entry.name}.gguf"
    own.parent.mkdir()
    own.write_bytes(b"GGUF of my own")
    with pytest.raises(DownloadError, match=f"models remove {entry.name}"):
        pull(entry, tmp_path, HASTE, Heard())
    assert own.read_bytes() == b"GGUF of my own"
    assert shelf.front_requests == []


def test_a_folder_that_cannot_be_made_is_said(offered: Offered, tmp_path: Path) -> None:
    entry, _ = offered
    (tmp_path / "models").write_text("a file in the way")
    with pytest.raises(DownloadError, match="cannot be stored"):
        pull(entry, tmp_path, HASTE, Heard())


def test_where_the_file_system_has_no_locks_nothing_bad_is_installed_either(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several write the same bytes to the same places; who comes to grief says so."""
    entry, shelf = offered
    shelf.piece_wait_s = 0.001
    shelf.faults += [breaks_at(60_000), breaks_at(120_000)]

    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)

    def pull_once(_: int) -> bool:
        try:
            return pull(entry, tmp_path, HASTE, Heard()).read_bytes() == CONTENT
        except DownloadError:
            return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(pull_once, range(8)))
    check_installed(entry, tmp_path)


FAULTS = st.one_of(
    st.integers(0, len(CONTENT)).map(breaks_at),
    st.sampled_from([408, 416, 429, 500, 503]).map(busy),
    st.just(sends(b"GGUF" + bytes(200_000))),
    st.just(sends(b"<html>")),
    st.just(sends(CONTENT + b"more")),
    st.sampled_from(["http://10.0.0.1/x", "file:///etc/passwd", "https://evil.example"]).map(
        sends_to
    ),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(faults=st.lists(FAULTS, max_size=6), etags=st.booleans(), number=st.uuids())
def test_whatever_comes_in_whatever_order_nothing_bad_is_installed(
    hub: Hub, tmp_path: Path, faults: list[Fault], etags: bool, number: object
) -> None:
    home = tmp_path / str(number)
    entry, shelf = hub.offer(f"any-{number}", CONTENT)
    shelf.faults += faults
    shelf.etag = shelf.etag if etags else ""
    target = home / "models" / f"{entry.name}.gguf"
    for _ in range(len(faults) + 1):
        try:
            pull(entry, home, HASTE, Heard())
            break
        except DownloadError as error:
            assert str(error).isprintable()
            assert not target.exists()
    assert target.read_bytes() == CONTENT
