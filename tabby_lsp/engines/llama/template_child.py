"""Renders a chat template: run as a program of its own, which may be ended at any moment.

A template comes with a model's file and is a program: Jinja's sandbox keeps it from Python, and the
limits of this process keep it from the machine. Reads `{template, bos, eos, conversations}` from
standard input and writes a list with the text, or null, for each conversation.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import datetime
from typing import NoReturn

_MAX_MEMORY_BYTES = 1 << 30
_MAX_CPU_S = 2
_MAX_CHARS = 256 * 1024  # for all of them together


def main() -> None:
    with suppress(ImportError):  # Windows has no limits; there the parent's clock has to do.
        import resource

        limits = {resource.RLIMIT_AS: _MAX_MEMORY_BYTES, resource.RLIMIT_CPU: _MAX_CPU_S}
        for what, most in limits.items():
            with suppress(ValueError, OSError):  # macOS does not take every one.
                resource.setrlimit(what, (most, most))
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    given = json.load(sys.stdin)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _now}
    template = environment.from_string(given["template"])
    rendered: list[str | None] = []
    for messages in given["conversations"]:
        try:
            text = template.render(
                messages=messages,
                bos_token=given["bos"],
                eos_token=given["eos"],
                add_generation_prompt=True,
                enable_thinking=False,
            )
        except Exception:
            text = None
        if sum(len(each) for each in [*rendered, text] if each) > _MAX_CHARS:
            raise SystemExit("it says too much")
        rendered.append(text)
    json.dump(rendered, sys.stdout)


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


if __name__ == "__main__":
    main()
