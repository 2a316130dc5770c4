"""How HTTP clients differ: one row each, and nowhere else.

Sources: go-tabbyapi a08e435 (its stream reader fails on `[DONE]` and on comments), tabby-agent
1.5.0 and 1.9 (reads every `data:` as JSON).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What is done otherwise for one client."""

    ends_with_done: bool = True  # whether a stream ends with `data: [DONE]`
    takes_comments: bool = True  # whether a stream may hold lines that say nothing


_OTHERS = Client()
_BY_AGENT = {
    "go-http-client/": Client(ends_with_done=False, takes_comments=False),
    "node": Client(ends_with_done=False),
    "node.js/": Client(ends_with_done=False),
}


def client_named(user_agent: str) -> Client:
    """The row of a client, by its `User-Agent`; the plain API for all others."""
    agent = user_agent.lower()
    return next((row for name, row in _BY_AGENT.items() if agent.startswith(name)), _OTHERS)
