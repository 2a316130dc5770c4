"""Hugging Face's hub as the user has set it up: endpoint, token, offline mode and cache.

Invariant: no other module imports huggingface_hub, and no address is asked that `is_allowed` does
not allow. huggingface_hub's own transfer is not used: it checks sizes and no hashes, and it starts
from the beginning after a kill (its pull request 4306).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from tabby_lsp.config import hub_mistake
from tabby_lsp.models.errors import DownloadError

try:
    from huggingface_hub import constants, get_token, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import DeviceCodeError, HfHubHTTPError, OIDCError
except ValueError as error:  # It reads some of its variables when it is imported.
    if mistake := hub_mistake():
        raise DownloadError(mistake) from error
    raise

if TYPE_CHECKING:
    from tabby_lsp.models.catalog import Entry

# Where the hub keeps large files, as https://huggingface.co/.well-known/meta.json and the hub's
# page on firewalls have it.
_OWN_HOSTS = ("huggingface.co", "hf.co")
_OWN_DOMAINS = (".huggingface.co", ".hf.co")
_MAX_STALL_S = 86_400


def endpoint() -> str:
    """The address of the hub: `HF_ENDPOINT`, or Hugging Face's own."""
    return constants.ENDPOINT


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids to ask the hub."""
    return constants.is_offline_mode()


def stall_s() -> float:
    """How long nothing may come before a transfer counts as broken: `HF_HUB_DOWNLOAD_TIMEOUT`.

    Raises DownloadError.
    """
    wanted_s = constants.HF_HUB_DOWNLOAD_TIMEOUT
    if not 0 < wanted_s <= _MAX_STALL_S:
        raise DownloadError(
            f"HF_HUB_DOWNLOAD_TIMEOUT must be from 1 to {_MAX_STALL_S} seconds; correct it, or"
            " unset it"
        )
    return wanted_s


def url_of(entry: Entry) -> httpx2.URL:
    """Where the hub has the file; raises httpx2.InvalidURL for an endpoint that is none."""
    return httpx2.URL(hf_hub_url(entry.repository, entry.file))


def page_of(entry: Entry) -> str:
    """The page for people, where a licence can be accepted."""
    return f"{endpoint()}/{entry.repository}"


def is_allowed(url: httpx2.URL) -> bool:
    """Whether a file may be fetched from there: the endpoint itself, or Hugging Face by https.

    A redirect to anywhere else is an attack or a login page. No address is private or link-local
    but the endpoint's own, since the hosts that are allowed are names, and TLS proves them.
    """
    if url.userinfo or not url.host:
        return False
    if _origin(url) == _origin(httpx2.URL(endpoint())):
        return url.scheme in ("http", "https")
    is_own = url.host in _OWN_HOSTS or url.host.endswith(_OWN_DOMAINS)
    return url.scheme == "https" and url.port is None and is_own


def headers_for(url: httpx2.URL) -> dict[str, str]:
    """The user's token, for the endpoint and for nobody else; raises DownloadError."""
    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN or _origin(url) != _origin(httpx2.URL(endpoint())):
        return {}
    try:
        token = get_token()
    except (DeviceCodeError, HfHubHTTPError, OIDCError, httpx2.HTTPError):  # it did not renew
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise DownloadError(
            f"the token in {constants.HF_TOKEN_PATH} cannot be read ({_why(error)}); log in once"
            " more with `hf auth login`, or correct HF_HOME or HF_TOKEN_PATH"
        ) from error
    if token and not (token.isascii() and token.isprintable()):
        raise DownloadError(
            "the token of Hugging Face has a character that no token has; copy it once more into"
            " HF_TOKEN, or log in with `hf auth login`"
        )
    return {"Authorization": f"Bearer {token}"} if token else {}


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it has fetched: `HF_HUB_CACHE`, or below `HF_HOME`."""
    return Path(constants.HF_HUB_CACHE)


def cached_files(entry: Entry) -> list[Path]:
    """Files of the cache that may be the model: by its hash, then by its name."""
    blobs = cache_folder() / f"models--{entry.repository.replace('/', '--')}" / "blobs"
    named = try_to_load_from_cache(entry.repository, entry.file)
    candidates = [blobs / entry.sha256, *([Path(named)] if isinstance(named, str) else [])]
    return list({path.resolve(): None for path in candidates if path.is_file()})


def _why(error: OSError | UnicodeDecodeError) -> str:
    return "it is not text" if isinstance(error, ValueError) else error.strerror or str(error)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
