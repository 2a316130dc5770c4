"""Progress is a bar in a terminal, whatever that knows of its size, and lines elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

PROGRAM = """
import time
from tabby_lsp.commands.bar import Bar
with Bar() as bar:
    for n in range(6):
        bar.step("Tiny-Coder", n * 1_000_000, 5_000_000)
        time.sleep(0.12)
    bar.say("done")
"""


def test_in_a_terminal_it_is_a_bar() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", PROGRAM], stderr=theirs, check=True, timeout=120)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65_536):
            shown += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    text = shown.decode()
    assert "Tiny-Coder:  60%|" in text
    assert "3.00M/5.00M" in text
    assert text.endswith("done\r\n")


def test_elsewhere_it_is_a_line_for_each_thing() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stderr == "Tiny-Coder\ndone\n"
