"""Which loaded model a request means by its name, and whether that model can do what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabby_lsp.servers.http.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.rack import Rack, Role

# What clients send that do not care, or that were written for Tabby.
ANY_MODEL = frozenset({"", "tabby"})
_MOST_REPEATED_CHARS = 100


def role_named(rack: Rack, model: str | None, roles: Sequence[Role]) -> Role:
    """The first of `roles` whose model is meant; raises Refusal where it is another's, or nobody's.

    Without a name it is the first role that has a model, and the first one where none has.
    """
    name = (model or "").lower()
    for role in roles:
        if name and rack.name(role).lower() == name:
            return role
    if name in ANY_MODEL:
        return next((role for role in roles if rack.name(role)), roles[0])
    other = rack.role_of(name)
    if other is not None:
        raise Refusal(
            400,
            f"{rack.name(other)} is loaded for {other}, which this is not: name a model for "
            f"{' or '.join(roles)}, or none.",
            code="model_not_supported",
        )
    raise no_such_model(name)


def no_such_model(name: str) -> Refusal:
    """What is said of a name that no loaded model has."""
    return Refusal(
        404,
        f"No model {name[:_MOST_REPEATED_CHARS]!r} is loaded: `GET /v1/models` lists those that "
        "are, and an empty name means them.",
        code="model_not_found",
    )


def check_able(engine: Any, ability: str, what: str) -> None:
    """Raise Refusal where an engine lacks one of the promises of domain.py."""
    if not hasattr(engine, ability):
        raise Refusal(501, f"{engine.status.model} {what}.")
