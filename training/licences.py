"""Whether a package may be read: what its metadata says of its licence, in a few SPDX names.

Invariant: a licence that is not understood is not permissive.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

# Those that ask for no more than a notice.
PERMISSIVE = frozenset(
    {"MIT", "MIT-0", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "ISC",
     "PSF-2.0", "Python-2.0", "HPND", "Unlicense", "Zlib", "ZPL-2.1",
     "CNRI-Python", "CC0-1.0", "BSL-1.0"}
)  # fmt: skip

# What people write where no SPDX expression stands; the first that is found counts.
_SPELLINGS = (
    (r"\b[AL]?GPL|general public|affero|lesser|\bMPL\b|mozilla|eclipse|\bEUPL|cecill", ""),
    (r"proprietary|commercial|non.?commercial", ""),
    (r"apache", "Apache-2.0"),
    (r"\bmit\b", "MIT"),
    (r"\bbsd\b.*\b2\b|2.clause|simplified bsd", "BSD-2-Clause"),
    (r"\bbsd\b|3.clause", "BSD-3-Clause"),
    (r"\bisc\b", "ISC"),
    (r"python software foundation|\bpsf", "PSF-2.0"),
    (r"zope public|\bzpl\b", "ZPL-2.1"),
    (r"\bhpnd\b|historical permission", "HPND"),
    (r"unlicense", "Unlicense"),
    (r"public domain|\bcc0\b", "CC0-1.0"),
)  # fmt: skip
_LONGEST_NAME = 120  # a longer one is the licence's text
_TEXTS = (
    (r"general public license|mozilla public", ""),
    (r"apache license\s+version 2", "Apache-2.0"),
    (r"permission is hereby granted, free of charge", "MIT"),
    (r"redistribution and use in source and binary forms", "BSD-3-Clause"),
)


def licence_of(metadata: Message) -> str:
    """An SPDX expression of permissive licences; "" where there is another one or none is said."""
    expression = str(metadata["License-Expression"] or "")
    if expression:
        return expression if _is_permissive(expression) else ""
    classifiers = [
        str(line).rpartition("::")[2].strip()
        for line in metadata.get_all("Classifier", [])
        if str(line).startswith("License ::")
    ]
    named = [name for name in classifiers if name not in ("OSI Approved", "")]
    written = str(metadata["License"] or "").strip()
    if written and len(written) <= _LONGEST_NAME:
        named.append(written)
    found = [_spelled(name, _SPELLINGS) for name in named]
    if not found and written:
        found = [_spelled(written, _TEXTS)]
    return " OR ".join(sorted(set(found))) if found and all(found) else ""


def _is_permissive(expression: str) -> bool:
    """One side of an OR does, and all of an AND."""
    flat = re.sub(r"[()]", " ", expression)
    return any(
        all(part.strip() in PERMISSIVE for part in re.split(r"\sAND\s", choice))
        for choice in re.split(r"\sOR\s", flat)
    )


def _spelled(text: str, spellings: tuple[tuple[str, str], ...]) -> str:
    found = (name for pattern, name in spellings if re.search(pattern, text, re.IGNORECASE))
    return next(found, "")
