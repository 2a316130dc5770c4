"""Finds the imports of a file, which a model should know although they stand far above the cursor.

Invariant: pure; whole statements, in their order, and nothing else.
"""

from __future__ import annotations

import re
from functools import lru_cache

# How far down a file its imports are looked for.
HEAD_CHARS = 4_000
_MOST_LINES = 40  # of one statement
_IMPORT = re.compile(
    r"""\s*(?:
        from\s+[\w.]+\s+import\b
      | import\s+(?:type\s+|static\s+)?[\w.*{("'@]
      | (?:export\s+)?(?:\*|\{[^}]*\})\s+from\s+["']
      | \#\s*include\b | \#\s*import\b | @import\b
      | (?:pub\s+)?use\s+[\w:{\\]+.*;
      | (?:global\s+)?using\s+[\w.:=\s]+;
      | package\s+[\w.]+;?\s*$
      | (?:const|let|var)\s+[\w{},\s]+=\s*require\s*\(
      | require(?:_once|_relative)?[\s(]+["']
      | extern\s+crate\b | open\s+[A-Z][\w.]*\s*$
    )""",
    re.VERBOSE,
)
_OPENERS, _CLOSERS = "([{", ")]}"


@lru_cache(maxsize=64)  # documents at work on; asked for with every key
def imports_of(head: str) -> str:
    """The import statements in the first lines of a file; the last line may be cut off."""
    taken: list[str] = []
    n_open = n_lines = 0
    for line in head.splitlines(keepends=True):
        is_going_on = n_open > 0 and n_lines < _MOST_LINES
        if not is_going_on and not _IMPORT.match(line):
            continue
        n_lines = n_lines + 1 if is_going_on else 1
        depth = sum((char in _OPENERS) - (char in _CLOSERS) for char in line)
        n_open = (n_open if is_going_on else 0) + depth
        taken.append(line)
    return "".join(taken)
