"""The command line: what can be asked for, and which module answers.

Invariant: nothing heavy is imported before it is known what is wanted, and in the language server
nothing at all before stdout is the protocol's own.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tabby_lsp import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.config import Resolved, Source

EXAMPLES = """\
examples:
  tabby-lsp                              the language server, for an editor to start
  tabby-lsp complete app.py:12:9         what would be suggested there
  tabby-lsp complete app.py:12:9 --json --model ~/models/qwen2.5-coder-0.5b-q8_0.gguf
  git diff | tabby-lsp chat write a commit message
  tabby-lsp models pull Qwen2.5-Coder-0.5B   a better model than the one that comes along
  tabby-lsp doctor                       what works on this machine, and how to mend what does not
"""

_USAGE_ERROR = 2
# What Tabby can run models on, and what one of those who start it calls the last.
_DEVICES = ("cpu", "cuda", "rocm", "metal", "vulkan", "vulcan")
_ABOUT = ("--version", "-h", "--help")

# Which setting a flag stands over.
_FLAGS = {
    "model": "model",
    "chat_model": "chat.model",
    "host": "serve.host",
    "port": "serve.port",
    "log_level": "log.level",
    "log_file": "log.file",
}

# What `tabby-lsp models` can do: the argument, and the line of help.
_MODEL_ACTIONS = {
    "list": ("", "what is installed, on this machine, and to be had"),
    "pull": ("NAME", "fetch a model of the catalogue, check it and install it"),
    "use": ("NAME|PATH", "write the model, or a server's, into your settings, if it can complete"),
    "path": ("NAME", "where an installed model's file is"),
    "remove": ("NAME", "delete an installed model"),
    "verify": ("[NAME]", "read installed models again and compare their SHA-256"),
}

_HOST_ACTIONS = {
    "status": "which engine host runs, for how many windows, with which models",
    "stop": "end it; a window that needs one starts the next",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0, 1 where something is wrong, 2 for a wrong call."""
    from tabby_lsp.commands import streams

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in _ABOUT):
        arguments.insert(0, "lsp")
    streams.fill_gaps()
    if arguments[0] == "lsp":
        return _run(arguments)
    streams.prepare_output()
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # Whoever read our output has gone, as with `| head`.
        streams.give_up_output()
        return 1
    except streams.OutputUnusable as error:
        streams.give_up_output()
        reason: str | None = str(error)
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
    sys.stderr.write(f"tabby-lsp: {reason}\n")
    return 1


def _run(arguments: Sequence[str]) -> int:
    parser = _parser()
    # Editors add flags of their own to a language server, such as --clientProcessId=N.
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown and parsed.command != "lsp":
        parser.error(f"there is no {unknown[0]}; see `tabby-lsp {parsed.command} --help`")
    return _COMMANDS[parsed.command](parsed)


def _reason(error: Exception) -> str | None:
    """What is wrong with this machine or its files; None where the mistake is ours."""
    from tabby_lsp.domain import EngineError

    if isinstance(error, EngineError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return None


def _parser() -> argparse.ArgumentParser:
    settings = argparse.ArgumentParser(add_help=False)
    settings.add_argument("--config", type=_file, metavar="FILE", help="settings file to read")
    settings.add_argument("--model", metavar="NAME|PATH", help="the model to use")
    settings.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")
    settings.add_argument("--log-file", metavar="FILE", help="where messages go, besides stderr")

    parser = argparse.ArgumentParser(
        prog="tabby-lsp",
        description="Inline code completion and chat from a model on your own machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tabby-lsp {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    lsp = commands.add_parser(
        "lsp", parents=[settings], help="the language server (the default)", allow_abbrev=False
    )
    lsp.add_argument("--stdio", action="store_true", help="talk over stdin and stdout (always)")
    lsp.add_argument(
        "--in-process",
        action="store_true",
        help="run the models in this process, not in the engine host that all windows share",
    )
    complete = commands.add_parser(
        "complete", parents=[settings], help="complete at a place in a file", allow_abbrev=False
    )
    complete.add_argument("place", metavar="FILE:LINE:COL", help="line and column count from 1")
    complete.add_argument("--json", action="store_true", help="print {text, range, timings}")
    chat = commands.add_parser(
        "chat",
        parents=[settings],
        help="ask the chat model, about what is piped in if anything is",
        allow_abbrev=False,
    )
    chat.add_argument("question", nargs="*", help="a conversation begins without one")
    commands.add_parser(
        "demo",
        parents=[settings],
        help="watch the language server complete code",
        allow_abbrev=False,
    )
    serve = commands.add_parser(
        "serve",
        parents=[settings],
        help="an HTTP server for the clients of Tabby, OpenAI and TabbyAPI",
        allow_abbrev=False,
    )
    serve.add_argument("--chat-model", metavar="NAME|PATH", help="the chat model to use")
    serve.add_argument("--host", metavar="ADDRESS", help="127.0.0.1 unless the settings say else")
    serve.add_argument("--port", metavar="N", help="8080 unless the settings say else")
    for flag in ("--device", "--chat-device"):
        serve.add_argument(flag, choices=_DEVICES, default="", help=argparse.SUPPRESS)
    # What `tabby serve` takes besides, so that what starts it starts this as well.
    serve.add_argument("--parallelism", help=argparse.SUPPRESS)
    serve.add_argument("--no-webserver", action="store_true", help=argparse.SUPPRESS)
    # `tabby download`, for who calls us by Tabby's name; `models pull` is ours.
    fetch = commands.add_parser("download", parents=[settings], allow_abbrev=False)
    fetch.add_argument("--prefer-local-file", action="store_true", help=argparse.SUPPRESS)
    host = commands.add_parser("host", help="the engine host", allow_abbrev=False)
    doings = host.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, text in _HOST_ACTIONS.items():
        doing = doings.add_parser(action, parents=[settings], help=text, allow_abbrev=False)
        if action == "status":
            doing.add_argument("--json", action="store_true", help="print it as JSON")
    # What the language server starts, and what that starts to try llama.cpp out.
    doings.add_parser("run", parents=[settings], allow_abbrev=False)
    trying = doings.add_parser("try", parents=[settings], allow_abbrev=False)
    trying.add_argument("avoided", nargs="*")
    doctor = commands.add_parser(
        "doctor", parents=[settings], help="check this installation", allow_abbrev=False
    )
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    commands.add_parser(
        "stats", parents=[settings], help="what became of suggestions", allow_abbrev=False
    )
    models = commands.add_parser("models", help="get and choose models", allow_abbrev=False)
    actions = models.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, (name, text) in _MODEL_ACTIONS.items():
        each = actions.add_parser(action, parents=[settings], help=text, allow_abbrev=False)
        if name:
            each.add_argument("name", metavar=name.strip("[]"), nargs="?" if "[" in name else None)
    actions.choices["use"].add_argument(
        "--chat", action="store_true", help="as the chat model, also where it can complete code"
    )
    actions.choices["list"].add_argument("--json", action="store_true", help="print it as JSON")
    return parser


def _file(text: str) -> Path:
    """Also where no shell has put the home folder in the place of `~`."""
    try:
        return Path(os.path.expanduser(text)).absolute()
    except OSError as error:
        reason = f"{text} starts in the present folder, which is gone"
        raise argparse.ArgumentTypeError(reason) from error


def _lsp(parsed: argparse.Namespace) -> int:
    if sys.stdin is None or sys.stdout is None:
        _exit_with("a language server needs standard input and output, and one of them is closed")
    from tabby_lsp.servers.lsp.garbage import spare_the_start
    from tabby_lsp.servers.lsp.wire import claim_stdout

    stdout = claim_stdout()
    spare_the_start()
    from tabby_lsp.app import build
    from tabby_lsp.commands.log import log_to
    from tabby_lsp.host.link import Link
    from tabby_lsp.servers.lsp.server import create_server, serve

    sources = _sources(parsed)
    resolved = _resolved(sources)
    log_to(resolved.settings.log)
    is_shared = resolved.settings.host.shared and not parsed.in_process
    runner = Link(_passed_on_to_host(parsed)) if is_shared else None
    server = create_server(lambda settings: build(settings, runner), sources)
    status = asyncio.Runner().run(serve(server, sys.stdin.buffer, stdout))
    logging.shutdown()
    # Not asyncio.run, which waits for threads: those that read stdin or a disk, or run a model, are
    # not worth it.
    os._exit(status)


def _complete(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands.complete import complete

    return complete(parsed.place, _settings_or_exit(parsed).settings, as_json=parsed.json)


def _chat(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands.chat import chat

    return chat(" ".join(parsed.question), _settings_or_exit(parsed).settings)


def _serve(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands.serve import serve_http
    from tabby_lsp.servers.http.machine import Devices

    # A component that starts Tabby on Windows spells it so.
    names = {"vulcan": "vulkan"}
    devices = Devices(
        completion=names.get(parsed.device, parsed.device),
        chat=names.get(parsed.chat_device, parsed.chat_device),
    )
    return serve_http(_settings_or_exit(parsed).settings, devices)


def _download(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands import models

    if parsed.model is None:
        _exit_with("`--model NAME` says which; `tabby-lsp models list` shows all of them")
    return models.pull(parsed.model)


def _demo(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands.demo import demo

    _settings_or_exit(parsed)
    return demo(_passed_on(parsed))


def _doctor(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands.doctor import doctor

    return doctor(_resolved(_sources(parsed)), as_json=parsed.json)


def _host(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands import host, self_test
    from tabby_lsp.commands.log import log_to

    # An editor goes on with what it can read of its settings, and so does what it has started.
    resolved = _resolved(_sources(parsed))
    log_to(resolved.settings.log)
    for problem in resolved.problems:
        logging.getLogger(__name__).warning("%s", problem)
    if parsed.action == "run":
        return host.run(resolved.settings)
    if parsed.action == "try":
        return self_test.in_child(parsed.avoided)
    return host.stop() if parsed.action == "stop" else host.status(as_json=parsed.json)


def _stats(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands.stats import stats

    _settings_or_exit(parsed)
    return stats()


def _models(parsed: argparse.Namespace) -> int:
    from tabby_lsp.commands import models
    from tabby_lsp.config import user_config_path

    settings = _settings_or_exit(parsed).settings
    if parsed.action == "list":
        return models.show_all(settings, as_json=parsed.json)
    if parsed.action == "use":
        return models.use(parsed.name, parsed.config or user_config_path(), for_chat=parsed.chat)
    action = {
        "pull": models.pull,
        "path": models.path,
        "remove": models.remove,
        "verify": models.verify,
    }[parsed.action]
    return action(parsed.name)


_COMMANDS = {
    "lsp": _lsp,
    "complete": _complete,
    "chat": _chat,
    "serve": _serve,
    "download": _download,
    "demo": _demo,
    "host": _host,
    "doctor": _doctor,
    "stats": _stats,
    "models": _models,
}


def _sources(parsed: argparse.Namespace) -> list[Source]:
    from tabby_lsp.config import (
        BUILT_IN_ENGINE,
        flag_source,
        read_environment,
        read_user_file,
        user_config_path,
    )

    settings = _FLAGS | ({"model": "chat.model"} if parsed.command == "chat" else {})
    given = {name: key for name, key in settings.items() if getattr(parsed, name, None) is not None}
    flags = {key: getattr(parsed, name) for name, key in given.items()}
    names = {key: f"--{name.replace('_', '-')}" for name, key in given.items()}
    # A model that is named is run here, also where the settings name a server.
    for role in ("", "chat."):
        if f"{role}model" in flags:
            flags[f"{role}engine"] = BUILT_IN_ENGINE
            names[f"{role}engine"] = names[f"{role}model"]
    return [
        read_user_file(parsed.config or user_config_path(), must_exist=parsed.config is not None),
        read_environment(),
        flag_source(flags, names),
    ]


def _resolved(sources: Sequence[Source]) -> Resolved:
    from tabby_lsp.config import resolve

    return resolve(sources)


def _settings_or_exit(parsed: argparse.Namespace) -> Resolved:
    """A command does not go on with settings that the user did not mean."""
    from tabby_lsp.commands.log import log_to

    resolved = _resolved(_sources(parsed))
    if resolved.problems:
        _exit_with("\n".join(str(problem) for problem in resolved.problems))
    log_to(resolved.settings.log)
    return resolved


def _passed_on(parsed: argparse.Namespace) -> list[str]:
    """The flags that a language server started by a command gets too."""
    flags = {"--config": parsed.config, "--model": parsed.model, "--log-file": parsed.log_file}
    return [part for name, value in flags.items() if value for part in (name, str(value))]


def _passed_on_to_host(parsed: argparse.Namespace) -> list[str]:
    """The host has its settings from the user's file, never from a window."""
    return ["--config", str(parsed.config)] if parsed.config else []


def _exit_with(message: str) -> NoReturn:
    sys.stderr.write(f"tabby-lsp: {message}\n")
    raise SystemExit(_USAGE_ERROR)
