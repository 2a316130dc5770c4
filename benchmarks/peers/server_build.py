"""Builds llama.cpp's own programs, once, from the very source that our llama.cpp was built from.

Run: `python -m benchmarks.peers.server_build`

Invariant: nothing is fetched but from pip's indexes, and nothing outside `build/peers` is written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

from tabby_lsp.engines.llama.library import LLAMA_CPP_PYTHON_VERSION

HERE = Path(__file__).resolve().parents[2] / "build" / "peers"
LOG = HERE / "build.log"
TOOLS = HERE / "tools"
TOOLS_BIN = TOOLS / ("Scripts" if os.name == "nt" else "bin")
PINS = ("cmake==4.4.4", "ninja==1.13.2")
N_JOBS = 2
TARGETS = ("llama-server", "llama-bench")

OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    # What would be fetched over the network while it is built, or wants libraries to speak TLS.
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
}


SOURCE = HERE / f"llama.cpp-{LLAMA_CPP_PYTHON_VERSION}"
BUILD_COMMAND = "python -m benchmarks.peers.server_build"


def built(name: str) -> Path | None:
    """One of llama.cpp's own programs, where it has been built."""
    program = SOURCE / "build" / "bin" / (f"{name}.exe" if os.name == "nt" else name)
    return program if program.exists() else None


def llama_server() -> Path:
    """The program, built where it is not there yet; ends this program where that fails."""
    if built("llama-server") is None:
        HERE.mkdir(parents=True, exist_ok=True)
        LOG.write_bytes(b"")
        say("Building llama-server, once: some ten minutes of processor time.", f"  log: {LOG}")
        compile_server(source())
    program = built("llama-server")
    assert program is not None, "Ninja said that it was built"
    return program


def source() -> Path:
    """llama.cpp's own folder, fetched where it is not there yet."""
    HERE.mkdir(parents=True, exist_ok=True)
    if not SOURCE.exists():
        unpack(fetch(), SOURCE)
    return SOURCE


def fetch() -> Path:
    """The source distribution with which llama.cpp comes, from pip's cache or indexes."""
    requirement = f"llama-cpp-python=={LLAMA_CPP_PYTHON_VERSION}"
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(HERE)]
    run([*pip, "--no-binary", "llama-cpp-python", requirement])
    return next(HERE.glob(f"llama_cpp_python-{LLAMA_CPP_PYTHON_VERSION}.tar.gz"))


def unpack(archive: Path, source: Path) -> None:
    """llama.cpp's own folder, which gets its name when it is whole."""
    fresh = source.with_suffix(".part")
    shutil.rmtree(fresh, ignore_errors=True)
    marker = "/vendor/llama.cpp/"
    with tarfile.open(archive) as sdist:
        for member in sdist:
            _, found, inner = member.name.partition(marker)
            if found and inner and member.isreg():
                path = fresh / inner
                path.parent.mkdir(parents=True, exist_ok=True)
                content = sdist.extractfile(member)
                assert content is not None  # a regular file has one
                path.write_bytes(content.read())
    if not (fresh / "CMakeLists.txt").exists():
        sys.exit(f"{archive} holds no {marker}; benchmarks/peers/server_build.py has to follow.")
    fresh.rename(source)
    archive.unlink()


def compile_server(source: Path) -> None:
    """Native, as `make` builds llama-cpp-python, with CMake and Ninja of pinned versions."""
    if not (TOOLS_BIN / "ninja").with_suffix(".exe" if os.name == "nt" else "").exists():
        venv.create(TOOLS, with_pip=True, clear=True)
        run([str(TOOLS_BIN / "python"), "-m", "pip", "install", *PINS])
    build = source / "build"
    cmake = str(TOOLS_BIN / "cmake")
    options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
    ninja = f"-DCMAKE_MAKE_PROGRAM={(TOOLS_BIN / 'ninja').as_posix()}"
    run([cmake, "-G", "Ninja", ninja, "-S", str(source), "-B", str(build), *options])
    run([cmake, "--build", str(build), "--target", *TARGETS, "--parallel", str(N_JOBS)])


def run(command: list[str]) -> None:
    """Run it with its output in the log; ends this program, with the last lines, where it fails."""
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    if done.returncode != 0:
        lines = LOG.read_text("utf-8", errors="replace").splitlines()
        sys.exit("\n".join([*lines[-30:], "", f"That failed; all it said is in {LOG}"]))


def say(*lines: str) -> None:
    """At once, since what follows takes minutes."""
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    print(llama_server())
