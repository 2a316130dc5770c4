"""Brings a file from the hub into its part, through broken connections and busy servers.

Invariant: an address is asked only if `hub.is_allowed` says so, at the first step and at every
redirect; what a server says of the file is checked against what it said before.
"""

from __future__ import annotations

import email.utils
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol

import httpx2

from tabby_lsp import __version__
from tabby_lsp.models import hub
from tabby_lsp.models.errors import DownloadError
from tabby_lsp.models.part import check_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.models.catalog import Entry
    from tabby_lsp.models.part import Part

_MAX_REDIRECTS = 5  # the hub needs one, and one more for a repository that was renamed
_MAX_WAIT_S = 300.0  # who asks for more is told to come back later
_PROGRESS_BYTES = 1 << 20  # a try that brought so much was no failure
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class Show(Protocol):
    """Tells a person how it goes."""

    def say(self, text: str) -> None:
        """A line of text."""

    def step(self, what: str, done_bytes: int, size_bytes: int) -> None:
        """How much of `what` is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to hope; the waits double."""

    first_wait_s: float = 1.0
    max_tries: int = 6  # without progress (Ollama tries as often)


class _Again(Exception):
    """This try has failed and another may not; `wait_s` is what the server asks for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def fetch(entry: Entry, part: Part, patience: Patience, show: Show) -> None:
    """Make the part whole, beginning where it ends; raises DownloadError, and OSError of the disk.

    What is here stays here for the next time.
    """
    with _client() as client:
        n_tries, wait_s = 0, patience.first_wait_s
        while not part.is_whole:
            before_bytes = part.n_bytes
            try:
                _try_once(client, entry, part, show)
            except (_Again, httpx2.TransportError) as trouble:
                if part.n_bytes - before_bytes >= _PROGRESS_BYTES:
                    n_tries, wait_s = 0, patience.first_wait_s
                n_tries += 1
                _wait(trouble, wait_s, show, is_last=n_tries >= patience.max_tries)
                wait_s *= 2


def _client() -> httpx2.Client:
    """Follows no redirect by itself; knows the proxies and certificates of the environment."""
    headers = {"User-Agent": f"tabby-lsp/{__version__}", "Accept-Encoding": "identity"}
    try:
        return httpx2.Client(headers=headers, timeout=hub.stall_s(), follow_redirects=False)
    except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
        raise DownloadError(
            f"no connection can be set up ({error}); check HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
        ) from error


def _wait(trouble: Exception, wait_s: float, show: Show, *, is_last: bool) -> None:
    reason = _reason(trouble)
    asked_s = trouble.wait_s if isinstance(trouble, _Again) else None
    wait_s = max(wait_s, asked_s or 0)
    if is_last or wait_s > _MAX_WAIT_S:
        when = f"in {asked_s / 60:.0f} minutes" if asked_s and asked_s > _MAX_WAIT_S else "later"
        raise DownloadError(
            f"{reason}; run the same command again {when}, it goes on where it stopped"
        )
    show.say(f"{reason}; trying again in {wait_s:.0f} s")
    time.sleep(wait_s)


def _reason(trouble: Exception) -> str:
    host = hub.endpoint()
    if isinstance(trouble, httpx2.ConnectError):
        return f"{host} cannot be reached ({trouble})"
    if isinstance(trouble, httpx2.TimeoutException):
        return f"nothing came from {host} for {hub.stall_s():.0f} s"
    if isinstance(trouble, httpx2.TransportError):
        return f"the connection to {host} broke"
    return str(trouble)


def _try_once(client: httpx2.Client, entry: Entry, part: Part, show: Show) -> None:
    headers = _resuming(part)
    with _opened(client, entry, headers) as response:
        if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
            part.start_over()
            raise _Again(f"{response.url.host} has another file than before")
        if response.status_code == httpx2.codes.PARTIAL_CONTENT:
            _check_continuation(response, part)
            part.was_resumed = True
        else:
            part.begin(_size_bytes(response), response.headers.get("ETag", ""))
        _receive(response, entry, part, show)


def _resuming(part: Part) -> dict[str, str]:
    if not part.n_bytes:
        return {}
    headers = {"Range": f"bytes={part.n_bytes}-"}
    # Weak names are not for this (RFC 9110, 13.1.5).
    if part.etag and not part.etag.startswith("W/"):
        headers["If-Range"] = part.etag
    return headers


def _receive(response: httpx2.Response, entry: Entry, part: Part, show: Show) -> None:
    size_bytes, n_bytes = part.size_bytes or 0, part.n_bytes
    check_room(part.path.parent, size_bytes - n_bytes)
    with part.writing() as write:
        for piece in response.iter_raw():
            n_bytes += len(piece)
            if n_bytes > size_bytes:
                break
            write(piece)
            show.step(entry.name, n_bytes, size_bytes)
    if n_bytes > size_bytes:
        part.start_over()
        raise _Again(f"{response.url.host} sent more than it had announced")
    if n_bytes < size_bytes:
        raise _Again(f"{response.url.host} stopped at {n_bytes:,} of {size_bytes:,} bytes")


@contextmanager
def _opened(
    client: httpx2.Client, entry: Entry, headers: dict[str, str]
) -> Iterator[httpx2.Response]:
    """The answer that has the file, after all redirects: 200, 206 or 416."""
    try:
        url = hub.url_of(entry)
    except httpx2.InvalidURL:
        _refuse_address(hub.endpoint(), "HF_ENDPOINT")
    who = "HF_ENDPOINT"
    for _ in range(_MAX_REDIRECTS + 1):
        if not hub.is_allowed(url):
            is_ours = who == "HF_ENDPOINT"
            _refuse_address(hub.endpoint() if is_ours else str(url.copy_with(query=None)), who)
        own = headers | hub.headers_for(url)
        with client.stream("GET", url, headers=own) as response:
            _check_linked(response, entry)
            if not response.has_redirect_location:
                _check_status(response, entry)
                yield response
                return
            who = url.host
            url = _next_url(response)
    raise DownloadError(
        f"{hub.endpoint()} sends in circles for {entry.name}; check HF_ENDPOINT, or try later"
    )


def _next_url(response: httpx2.Response) -> httpx2.URL:
    location = response.headers["Location"]
    try:
        return response.url.join(location)
    except httpx2.InvalidURL:
        _refuse_address(location, response.url.host)


def _refuse_address(address: str, who: str) -> NoReturn:
    if who == "HF_ENDPOINT":
        raise DownloadError(
            f"HF_ENDPOINT = {address[:200]!r} is not the address of a hub; unset it, or give it one"
            " such as https://huggingface.co"
        )
    raise DownloadError(
        f"{who} sends to {address[:200]!r}, which is neither the hub nor Hugging Face's storage, so"
        " nothing was fetched from there; check your network and HF_ENDPOINT"
    )


def _check_linked(response: httpx2.Response, entry: Entry) -> None:
    """The hub names the SHA-256 of large files before it sends them."""
    linked = response.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
    if re.fullmatch("[0-9a-f]{64}", linked) and linked != entry.sha256:
        raise DownloadError(
            f"{hub.page_of(entry)} now has another {entry.file} than the catalogue"
            f" (SHA-256 {linked[:12]}… instead of {entry.sha256[:12]}…); update tabby-lsp"
        )


def _check_status(response: httpx2.Response, entry: Entry) -> None:
    status, host = response.status_code, response.url.host
    if status in (200, 206, 416):
        return
    if status in _BUSY:
        raise _Again(
            f"{host} is busy (HTTP {status})", _wanted_s(response.headers.get("Retry-After", ""))
        )
    if status in (401, 403):
        raise DownloadError(
            f"{host} gives {entry.file} to nobody it does not know (HTTP {status}); accept the"
            f" licence at {hub.page_of(entry)} if it has one, and log in with `hf auth login` or"
            " HF_TOKEN"
        )
    if status in (404, 410):
        raise DownloadError(
            f"{host} has no {entry.repository}/{entry.file} (HTTP {status}); check HF_ENDPOINT, or"
            " update tabby-lsp"
        )
    raise DownloadError(
        f"{host} answered HTTP {status}; check HF_ENDPOINT and any proxy, or try later"
    )


def _wanted_s(retry_after: str) -> float | None:
    """Seconds or a date, as RFC 9110, 10.2.3 has it."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def _size_bytes(response: httpx2.Response) -> int:
    length = response.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise DownloadError(
            f"{response.url.host} does not say how large the file is; check HF_ENDPOINT and any"
            " proxy"
        )
    return int(length)


def _check_continuation(response: httpx2.Response, part: Part) -> None:
    """What does not fit to the part is no continuation of it, whatever the server thinks."""
    described = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", described, re.ASCII)
    etag = response.headers.get("ETag", "")
    has_changed = bool(etag and part.etag and etag != part.etag)
    if (
        found
        and not has_changed
        and (int(found[1]), int(found[3])) == (part.n_bytes, part.size_bytes)
    ):
        return
    part.start_over()
    raise _Again(f"{response.url.host} has another file than before")
