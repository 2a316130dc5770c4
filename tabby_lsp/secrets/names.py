"""Which files may hold secrets, by their names alone."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from urllib.parse import unquote

from tabby_lsp.secrets import lists

# Apart: each stem with each extension would take twice as long to compile as all other patterns.
_STEM = "|".join(translate(stem).removesuffix(r"\Z") for stem in lists.SECRET_STEMS)
_FILE_NAME = re.compile(
    "|".join(
        (
            *map(translate, lists.SECRET_NAMES),
            rf"(?:{_STEM})\.(?:{'|'.join(lists.DATA_EXTENSIONS)})\Z",
        )
    )
)


def is_secret_path(path: str) -> bool:
    """Whether a file's name, or a folder above it, says that it may hold secrets.

    Absolute or relative, with either slash, in any case.
    """
    folder, _, name = ("/" + path.lower().replace("\\", "/")).rpartition("/")
    return _FILE_NAME.match(name) is not None or any(
        f"/{secret}/" in f"{folder}/" for secret in lists.SECRET_FOLDERS
    )


# Asked three times a key, of the few documents that are open.
@lru_cache(maxsize=256)
def is_secret_uri(uri: str) -> bool:
    """The same of a document's URI, encoded or not."""
    return is_secret_path(unquote(re.split(r"[?#]", uri, maxsplit=1)[0]))
