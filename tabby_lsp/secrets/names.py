"""Which files may hold secrets, by their names alone."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache, lru_cache
from urllib.parse import unquote

from tabby_lsp.secrets import lists


@cache
def _file_name() -> re.Pattern[str]:
    """Compiled when it is first needed, which is not before an editor has the server's answer."""
    stem = "|".join(translate(stem).removesuffix(r"\Z") for stem in lists.SECRET_STEMS)
    # Apart: each stem with each extension would take twice as long as all other patterns.
    with_extension = rf"(?:{stem})\.(?:{'|'.join(lists.DATA_EXTENSIONS)})\Z"
    return re.compile("|".join((*map(translate, lists.SECRET_NAMES), with_extension)))


def is_secret_path(path: str) -> bool:
    """Whether a file's name, or a folder above it, says that it may hold secrets.

    Absolute or relative, with either slash, in any case.
    """
    folder, _, name = ("/" + path.lower().replace("\\", "/")).rpartition("/")
    return _file_name().match(name) is not None or any(
        f"/{secret}/" in f"{folder}/" for secret in lists.SECRET_FOLDERS
    )


# Asked three times a key, of the few documents that are open.
@lru_cache(maxsize=256)
def is_secret_uri(uri: str) -> bool:
    """The same of a document's URI, encoded or not."""
    return is_secret_path(unquote(re.split(r"[?#]", uri, maxsplit=1)[0]))
