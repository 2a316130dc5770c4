"""The SQLite of this Python, and whether it can search in text."""

from __future__ import annotations

import sqlite3
from contextlib import closing

SQLITE_VERSION = sqlite3.sqlite_version


def can_search_text() -> bool:
    """Whether its full-text search (FTS5) finds a word; some builds of SQLite come without."""
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute("CREATE VIRTUAL TABLE texts USING fts5(text)")
            database.execute("INSERT INTO texts VALUES ('a needle in hay')")
            found = database.execute("SELECT count(*) FROM texts WHERE texts MATCH 'needle'")
            return bool(found.fetchone() == (1,))
    except sqlite3.Error:
        return False
