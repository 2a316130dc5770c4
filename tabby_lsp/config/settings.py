"""The tree of settings: each with its type, default, unit, range and one line of doc.

Invariant: what is not listed here cannot be set; a stage is given its section, never the tree.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - keys.py evaluates the annotations
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")

BUILT_IN_ENGINE = "local"

# macOS's PATH_MAX, the smallest of the three platforms'; no name or language id comes near it.
MAX_TEXT_CHARS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the checks, the messages and the docs page know of one setting beyond its type."""

    doc: str
    unit: str = ""
    minimum: int = 0  # of a number, or of the length of a text
    maximum: int = MAX_TEXT_CHARS
    zero: str = ""  # what 0 stands for, where it is allowed below `minimum`
    from_client: bool = True  # whether the editor's settings may set it
    is_path: bool = False  # a relative one starts at the folder of the file that names it
    is_name: bool = False  # with `is_path`: a plain name stands for itself
    is_url: bool = False
    is_engine: bool = False  # the name of an engine, built in or out of `engines`
    kinds: tuple[str, ...] = ()  # of an engine's setting: the kinds that take it; () for all
    needed_by: tuple[str, ...] = ()  # and those that do not go without it
    is_credential: bool = False  # or says where one is


def about(doc: str, **more: Any) -> dict[str, About]:
    """A field's metadata; `more` are the other fields of `About`."""
    return {"about": About(doc=doc, **more)}


def setting(default: T, doc: str, **more: Any) -> T:
    """Declare a field of the tree, of the type that its default has."""
    return field(default=default, metadata=about(doc, **more))


# The kinds of engines that are servers elsewhere, and those of them that we write prompts for.
REMOTE_KINDS = ("openai", "llama-server", "ollama", "tabby")
_PROMPTED_KINDS = ("openai", "llama-server", "ollama")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """An engine of your own, which `engine` chooses by its name; docs/remote.md has examples."""

    kind: Literal["openai", "llama-server", "ollama", "tabby", "scripted"] = field(
        metadata=about(
            '`"openai"` is any server with `/v1/completions` or `/v1/chat/completions`, such as '
            'vLLM; `"scripted"` gives the answers that its file holds, for bug reports.'
        )
    )
    url: str = setting(
        "",
        "Where the server is, such as `http://127.0.0.1:8000`. Ollama and llama-server are looked "
        "for on this machine where it is empty.",
        is_url=True,
        kinds=REMOTE_KINDS,
        needed_by=("openai", "tabby"),
    )
    model: str = setting(
        "",
        "The model's name as the server has it; may be empty where the server has one only.",
        kinds=_PROMPTED_KINDS,
    )
    family: str = setting(
        "",
        "The family whose fill-in-the-middle the prompt is written in, such as `Qwen2.5-Coder`; "
        "empty where the server does that.",
        kinds=_PROMPTED_KINDS,
    )
    n_ctx: int = setting(
        0,
        "How much the model holds in mind; prompts are kept below it, and Ollama is asked for it.",
        unit="tokens",
        minimum=256,
        maximum=1_048_576,
        zero="what the server says, or 4096",
        kinds=("openai", "ollama"),
    )
    api_key: str = field(
        default="",
        repr=False,
        metadata=about("The key that the server asks for.", kinds=REMOTE_KINDS, is_credential=True),
    )
    api_key_env: str = setting(
        "",
        "The environment variable that holds the key, in place of `api_key`.",
        kinds=REMOTE_KINDS,
        is_credential=True,
    )
    timeout_ms: int = setting(
        10_000,
        "How long a completion may take from the question to its end; in a chat, how long the "
        "first word may take, and each further one.",
        unit="milliseconds",
        minimum=100,
        maximum=300_000,
        kinds=REMOTE_KINDS,
    )
    connect_timeout_ms: int = setting(
        2_000,
        "How long the server may take to accept a connection.",
        unit="milliseconds",
        minimum=50,
        maximum=60_000,
        kinds=REMOTE_KINDS,
    )
    file: str = setting(
        "",
        "Where the answers are.",
        minimum=1,
        is_path=True,
        kinds=("scripted",),
        needed_by=("scripted",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionSettings:
    """When something is offered, and how much."""

    enabled: bool = setting(True, "Whether anything is offered at all.")
    disabled_languages: tuple[str, ...] = setting(
        (), 'Language ids in which nothing is offered, such as `"markdown"`.'
    )
    block: Literal["auto", "never"] = setting(
        "auto",
        'Whether answers of several lines are offered: `"auto"` where the code calls for one, '
        '`"never"` to stay on the line.',
    )
    menu: Literal["auto", "always", "never"] = setting(
        "auto",
        'Whether completions stand in the menu: `"auto"` where the editor draws no ghost text, '
        '`"always"` beside ghost text too, `"never"` nowhere.',
    )
    max_tokens: int = setting(
        96, "The longest answer of several lines.", unit="tokens", minimum=1, maximum=2_048
    )
    max_line_tokens: int = setting(
        48, "The longest answer on one line.", unit="tokens", minimum=1, maximum=512
    )
    confidence: int = setting(
        2,
        "How likely the first line of an answer has to be, as the model itself sees it, to be "
        "shown as ghost text where nobody asked explicitly.",
        unit="percent",
        minimum=1,
        maximum=99,
        zero="all answers",
    )
    ahead: Literal["auto", "always", "never"] = setting(
        "auto",
        "Whether the next line is prepared while a suggestion is shown, so that it is there when "
        'you have accepted: `"auto"` where the model runs on this machine, `"always"` on servers '
        'too, `"never"` nowhere.',
    )
    debounce_ms: int = setting(
        0,
        "How long to wait for the next key before the model is asked, where nobody asked "
        "explicitly.",
        unit="milliseconds",
        minimum=1,
        maximum=5_000,
        zero="no wait, or with an engine elsewhere one that follows how you type",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings:
    """What the model is given to read; an engine drops what its model has no room for."""

    prefix_chars: int = setting(
        6_000, "Text left of the cursor.", unit="characters", minimum=200, maximum=200_000
    )
    suffix_chars: int = setting(
        2_000, "Text right of the cursor.", unit="characters", maximum=200_000
    )
    snippets: bool = setting(True, "Whether pieces of other files are read too.")
    max_snippets: int = setting(
        4, "How many pieces of other files.", unit="snippets", minimum=1, maximum=32
    )
    snippet_chars: int = setting(
        3_000, "All these pieces together.", unit="characters", minimum=200, maximum=100_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """Who answers questions and edits code when told to."""

    model: str = setting(
        "",
        "The chat model that the built-in engine runs: its name, or the path of a GGUF file; empty "
        "for none. The editor's settings may give a name only.",
        is_path=True,
        is_name=True,
    )
    engine: str = setting(
        BUILT_IN_ENGINE,
        'Who runs it: `"local"`, the built-in one, or a name out of `engines`, with the model that '
        "stands there.",
        is_engine=True,
    )
    max_tokens: int = setting(
        1_024, "The longest answer.", unit="tokens", minimum=16, maximum=32_768
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """How the built-in engine runs a model, for all your windows alike."""

    device: Literal["auto", "cpu"] = setting(
        "auto",
        "Where models run: on a graphics card where llama.cpp was built for the one that is there, "
        "or on the processor in any case.",
        from_client=False,
    )
    n_ctx: int = setting(
        0,
        "How much the model holds in mind.",
        unit="tokens",
        minimum=256,
        maximum=1_048_576,
        zero="what it was trained for, at most 8192",
        from_client=False,
    )
    n_threads: int = setting(
        0,
        "How many processor cores work for it.",
        unit="threads",
        minimum=1,
        maximum=512,
        zero="as many as the machine has, not counting hyper-threads",
        from_client=False,
    )
    n_ubatch: int = setting(
        64,
        "How much of the prompt is read in one go: less lets go sooner when you type on, "
        "more reads faster on a graphics card.",
        unit="tokens",
        minimum=1,
        maximum=4_096,
        from_client=False,
    )
    parked_mib: int = setting(
        256,
        "How much of what was read of other files and places is kept in memory, so that coming "
        "back to them is as fast as staying. 0 keeps nothing.",
        unit="MiB",
        maximum=65_536,
        from_client=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """The engine host: one process that runs the models for all your editor windows."""

    shared: bool = setting(
        True,
        "Whether there is one; without it each window runs its models itself, as with "
        "`--in-process`.",
        from_client=False,
    )
    stays_s: int = setting(
        600,
        "How long it stays after the last window has gone.",
        unit="seconds",
        maximum=604_800,
        from_client=False,
    )
    unloads_s: int = setting(
        3_600,
        "After how long it gives a model back that nobody asked anything.",
        unit="seconds",
        minimum=1,
        maximum=604_800,
        zero="never",
        from_client=False,
    )
    self_test: bool = setting(
        True,
        "Whether llama.cpp is tried out in a process of its own before it is first used on this "
        "machine.",
        from_client=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What `tabby-lsp serve` offers, to whom; its flags stand over this."""

    host: str = setting(
        "127.0.0.1",
        "The address to listen at; every other than this machine's own asks for keys.",
        minimum=1,
        from_client=False,
    )
    port: int = setting(8_080, "The port.", minimum=1, maximum=65_535, from_client=False)
    hosts: tuple[str, ...] = setting(
        (),
        "Other names by which clients may know this server, without a port.",
        from_client=False,
    )
    origins: tuple[str, ...] = setting(
        (),
        "Pages that may ask this server, such as `https://ide.example`.",
        from_client=False,
    )
    embedding_model: str = setting(
        "",
        "The model that turns texts into vectors: its name, or the path of a GGUF file; empty for "
        "none.",
        from_client=False,
        is_path=True,
        is_name=True,
    )
    log_prompts: bool = setting(
        False,
        "Whether what Tabby's clients send is written down with their events, code included.",
        from_client=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsSettings:
    """What `tabby-lsp stats` shows."""

    enabled: bool = setting(
        True,
        "Whether what became of suggestions is counted, in a file on this machine, without code.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Messages about what goes wrong; your code is not in them, except at `debug`."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "warning", "The least serious message that is written."
    )
    file: str = setting(
        "",
        "A file that gets the messages, besides standard error; empty for none.",
        from_client=False,
        is_path=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which model answers, and who runs it."""

    model: str = setting(
        "starter",
        "A model's name, or the path of a GGUF file. The editor's settings may give a name only.",
        minimum=1,
        is_path=True,
        is_name=True,
    )
    # Stands before `engine`, which names one of these.
    engines: Mapping[str, EngineSettings] = field(
        default_factory=dict,
        metadata=about("Engines of your own, by name.", from_client=False),
    )
    engine: str = setting(
        BUILT_IN_ENGINE,
        'Who runs the model: `"local"`, the built-in one, or a name out of `engines`.',
        is_engine=True,
    )
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    context: ContextSettings = field(default_factory=ContextSettings)
    chat: ChatSettings = field(default_factory=ChatSettings)
    local: LocalSettings = field(default_factory=LocalSettings)
    host: HostSettings = field(default_factory=HostSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    stats: StatsSettings = field(default_factory=StatsSettings)
    log: LogSettings = field(default_factory=LogSettings)
