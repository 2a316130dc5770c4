"""The variables with which huggingface_hub cannot even be imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tabby_lsp.config.quoting import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
_ADDRESSES = ("HF_ENDPOINT", "HF_INFERENCE_ENDPOINT")


def hub_mistake(environ: Mapping[str, str] = os.environ) -> str:
    """What is wrong with the first of them that is, as a sentence; "" where none is."""
    for name in (*_SECONDS, *_ADDRESSES):
        value = environ.get(name, "")
        is_seconds = name in _SECONDS
        if value and not (_is_number(value) if is_seconds else _is_address(value)):
            what = "a whole number of seconds" if is_seconds else "an address"
            like = "10" if is_seconds else "https://huggingface.co"
            return f"{name} = {shown(value)} is not {what} such as {like}; correct it, or unset it"
    return ""


def _is_number(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        return urlsplit(text).port != 0
    except ValueError:
        return False
