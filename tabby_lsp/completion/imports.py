"""Finds the imports of a file, which a model should know although they stand far above the cursor.

Invariant: pure; whole lines, in their order, in a time that grows with the text and no faster.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tabby_lsp.completion.cursor import whole_lines

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


# Of a line: what is longer is no import, and expressions need not look through it.
_MOST_CHARS = 200
_COMMENT = re.compile(r"(?:#|//).*")


def head_of(prefix: str) -> str:
    """The first lines of a text that ends at the cursor, without the cursor's own."""
    return prefix[:HEAD_CHARS].rpartition("\n")[0] + "\n"


@lru_cache(maxsize=64)  # documents at work on; asked for with every key
def imports_of(head: str) -> str:
    """The import statements in the first lines of a file; the last line may be cut off."""
    taken: list[str] = []
    n_open = n_lines = 0
    for line in whole_lines(head):
        is_going_on = 0 < n_open and n_lines < _MOST_LINES and line.strip() != ""
        if not is_going_on and not _IMPORT.match(line[:_MOST_CHARS]):
            n_open = 0
            continue
        code = _COMMENT.sub("", line[:_MOST_CHARS]).rstrip()
        n_lines, n_open = (n_lines + 1, n_open) if is_going_on else (1, 0)
        n_open += sum((char in _OPENERS) - (char in _CLOSERS) for char in code)
        taken.append(line)
        if code.endswith("\\"):
            n_open, n_lines = max(1, n_open), max(n_lines, _MOST_LINES - 1)
    return "".join(taken)
