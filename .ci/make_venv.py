"""Make `.venv`: what `make demo` and `make test` do before anything else.

It is run by whatever `python3` there is, with the standard library alone, so that it can say that
this Python is too old; it stands beside `run` because both know what a machine needs.
Invariant: what is missing is named, with the way to get it, before anything is built.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
WHEELS = ROOT / "build" / "wheels"
LOG = ROOT / "build" / "set-up.log"

OLDEST = (3, 11)
NEWEST_TESTED = (3, 13)
HEARTBEAT_S = 15
# Measured: 203 s of processor time on a server core of 2023; rather too much than too little.
COMPILE_CPU_S = 300

# Ready wheels by the author of llama-cpp-python, for the processors of the last ten years.
LLAMA_WHEELS = "https://abetlen.github.io/llama-cpp-python/whl/cpu"

# What may be missing -> where one is -> what to type there.
REMEDIES = {
    "Python 3.11 or newer": {
        "Debian, Ubuntu": "apt-get install python3 python3-venv   (Debian 12, Ubuntu 24.04, newer)",
        "Fedora": "dnf install python3",
        "macOS": "brew install python@3.13",
        "Windows": "winget install Python.Python.3.13",
        "elsewhere": 'uv python install 3.13, then make PYTHON="$(uv python find 3.13)" ...',
    },
    "Python's venv and ensurepip modules": {
        "Debian, Ubuntu": "apt-get install python3-venv   (python3.12-venv for python3.12)",
        "Fedora": "dnf install python3",
        "macOS": "brew install python@3.13",
        "Windows": "winget install Python.Python.3.13",
    },
    "A C++ compiler (C++17), to compile llama.cpp": {
        "Debian, Ubuntu": "apt-get install g++",
        "Fedora": "dnf install gcc-c++",
        "macOS": "xcode-select --install",
        "Windows": "winget install Microsoft.VisualStudio.2022.BuildTools   (tick C++)",
        "or, without one": f"PIP_EXTRA_INDEX_URL={LLAMA_WHEELS} make ...",
    },
    "git, which the tests of ignored files run": {
        "Debian, Ubuntu": "apt-get install git",
        "Fedora": "dnf install git",
        "macOS": "xcode-select --install",
        "Windows": "winget install Git.Git",
    },
}
PYTHON, VENV_MODULE, COMPILER, GIT = REMEDIES


def main(extras: str) -> None:
    """Make `.venv` hold this checkout with `extras`, a comma list such as `local,test`."""
    python = str(VENV_PYTHON) if venv_is_usable() else find_python()
    missing = find_missing(python, extras)
    if python is None or missing:
        give_up(missing)
    LOG.parent.mkdir(exist_ok=True)
    if python != str(VENV_PYTHON):
        say(f"Making .venv with {python}.")
        run([python, "-m", "venv", "--clear", str(VENV)])
    pin = pinned_llama()
    if not is_installed(pin):
        run(pip("install", str(llama_wheel(pin))))
    say(f"Installing tabby-lsp[{extras}] into .venv.")
    run(pip("install", "--editable", f".[{extras}]"))
    for extra in extras.split(","):
        (VENV / f".has-{extra}").touch()


def find_python() -> str | None:
    """The Python asked for, or else the best one on the path; None where none is fit."""
    asked_for = os.environ.get("PYTHON")
    names = [asked_for] if asked_for else ["python3", "python3.13", "python3.12", "python3.11"]
    versions = {path: version_of(path) for path in map(shutil.which, names) if path}
    fit = [path for path, version in versions.items() if version >= OLDEST]
    if not fit:
        found = [f"{path} ({'.'.join(map(str, version))})" for path, version in versions.items()]
        say(f"Looked for {', '.join(names)}; found {', '.join(found) or 'none'}.")
        return None
    # A tested version before a newer one; one that can make a venv before one that cannot.
    return min(fit, key=lambda path: (versions[path] > NEWEST_TESTED, not can_make_venv(path)))


def version_of(python: str) -> tuple[int, ...]:
    """Its major and minor version; () for what does not run, as a pyenv shim may."""
    code = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def can_make_venv(python: str) -> bool:
    return is_quietly_done([python, "-c", "import ensurepip, venv"])


def find_missing(python: str | None, extras: str) -> list[str]:
    """What this machine lacks; the compiler only where something else is missing too.

    Whether a compiler is needed is known once there is a pip to ask for a ready wheel.
    """
    missing = []
    if python is None:
        missing.append(PYTHON)
    elif python != str(VENV_PYTHON) and not can_make_venv(python):
        missing.append(VENV_MODULE)
    if "test" in extras and not is_quietly_done(["git", "--version"]):
        missing.append(GIT)
    if missing and not has_compiler():
        missing.append(COMPILER)
    return missing


def has_compiler() -> bool:
    if os.name == "nt":  # CMake finds Visual Studio without any path being set.
        program_files = Path(os.environ.get("ProgramFiles(x86)", "C:/Program Files (x86)"))
        if (program_files / "Microsoft Visual Studio/Installer/vswhere.exe").exists():
            return True
    names = [os.environ.get("CXX", "c++"), "c++", "g++", "clang++"]
    # A real compilation, since macOS has a `c++` that only says what to install.
    options = ["-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
    code = b"#include <filesystem>\n"
    return any(is_quietly_done([*shlex.split(name), *options], code) for name in names)


def venv_is_usable() -> bool:
    """Whether `.venv` is there and still works: its Python may have been upgraded or moved away."""
    if not VENV_PYTHON.exists() or version_of(str(VENV_PYTHON)) < OLDEST:
        return False
    return is_quietly_done([str(VENV_PYTHON), "-m", "pip", "--version"])


def pinned_llama() -> str:
    """`llama-cpp-python==...` as pyproject.toml pins it; its Python may have no tomllib yet."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    match = re.search(r'"(llama-cpp-python==[^"]+)"', text)
    if match is None:
        sys.exit("pyproject.toml no longer pins llama-cpp-python; .ci/make_venv.py reads that pin.")
    return match.group(1)


def is_installed(pin: str) -> bool:
    name, version = pin.split("==")
    code = f"from importlib.metadata import version; assert version({name!r}) == {version!r}"
    return is_quietly_done([str(VENV_PYTHON), "-c", code])


def llama_wheel(pin: str) -> Path:
    """The one made here before, a ready one from pip's indexes, or a new one."""
    pattern = pin.replace("-", "_").replace("==", "-") + "-*.whl"
    if not any(WHEELS.glob(pattern)) and not is_quietly_done(
        pip("download", "--only-binary", ":all:", "--no-deps", "--dest", str(WHEELS), pin)
    ):
        compile_llama(pin)
    return max(WHEELS.glob(pattern), key=lambda wheel: wheel.stat().st_mtime)


def compile_llama(pin: str) -> None:
    if not has_compiler():
        give_up([COMPILER])
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    minutes = math.ceil(COMPILE_CPU_S / (n_cores or 1) / 60)
    say(
        f"Compiling llama.cpp ({pin}) for this machine: usually about {minutes} min with {n_cores} "
        "cores, and a download of 77 MB before. This happens once."
    )
    # Kept out of pip's cache: from there this wheel would come to other projects, which may want
    # the image library that it leaves out.
    options = ["--verbose", "--no-cache-dir", "--no-deps", "--wheel-dir", str(WHEELS)]
    core_only = f"-DCMAKE_PROJECT_llama_cpp_INCLUDE={(ROOT / '.ci/llama.cmake').as_posix()}"
    cmake_args = [shlex.quote(core_only), "-DLLAVA_BUILD=OFF", os.environ.get("CMAKE_ARGS", "")]
    run(pip("wheel", *options, pin), CMAKE_ARGS=" ".join(cmake_args))


def pip(*arguments: str) -> list[str]:
    return [str(VENV_PYTHON), "-m", "pip", *arguments]


def run(command: list[str], **environment: str) -> None:
    """Run `command` with its output in the log, saying every `HEARTBEAT_S` that it still runs.

    Ends this program where the command fails, with the log's last lines.
    """
    started = time.monotonic()
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=pip_environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        while True:
            try:
                process.wait(HEARTBEAT_S)
                break
            except subprocess.TimeoutExpired:
                say(f"  {minutes_and_seconds(time.monotonic() - started)}{progress()}")
            except KeyboardInterrupt:
                process.kill()
                sys.exit("\nStopped. The same command starts again.")
    if process.returncode != 0:
        lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
        say("", *lines[-30:], "", f"That failed: {' '.join(command)}", f"All it said: {LOG}")
        sys.exit(1)


def pip_environment(**more: str) -> dict[str, str]:
    # PIP_USER, which some images set, cannot work in a venv; the others are the user's to choose.
    ours = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    return {**os.environ, **ours, **more}


def progress() -> str:
    """How far the compiler is, from the last `[12/83]` that ninja wrote into the log."""
    with LOG.open("rb") as log:
        log.seek(max(0, LOG.stat().st_size - 20_000))
        steps = re.findall(rb"^ *\[(\d+)/(\d+)\]", log.read(), re.MULTILINE)
    return f": step {int(steps[-1][0])} of {int(steps[-1][1])}" if steps else ""


def minutes_and_seconds(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def is_quietly_done(command: list[str], text: bytes = b"") -> bool:
    """Whether the command exists and succeeds; its output is not wanted."""
    silent = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command, input=text, stdout=silent, stderr=silent, env=pip_environment()
        )
    except OSError:
        return False
    return done.returncode == 0


def give_up(missing: list[str]) -> NoReturn:
    for what in missing:
        say("", f"Missing: {what}", "Get it with")
        width = max(map(len, REMEDIES[what]))
        say(*(f"  {where:{width}}  {how}" for where, how in REMEDIES[what].items()))
    say("", "Nothing was built yet; with this in place, the same command goes on.")
    sys.exit(1)


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
