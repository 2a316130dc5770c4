"""Fetch the clients written for Node that the tests of HTTP drive, into `build/clients/`.

Invariant: the versions and hashes are those of `tests/http/clients/package-lock.json`, and no
package runs a script of its own.
"""

from __future__ import annotations

import shutil

from make_venv import ROOT, say
from node import install_node, npm

WANTED = ROOT / "tests" / "http" / "clients"
CLIENTS = ROOT / "build" / "clients"
STAMP = CLIENTS / "node"  # for the tests: the path of the Node that runs them


def main() -> None:
    """Fetch them; from then on they work offline."""
    node = install_node()
    say("Fetching tabby-agent, which the tests drive.")
    STAMP.unlink(missing_ok=True)
    CLIENTS.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(WANTED / name, CLIENTS)
    npm(node, "ci", "--ignore-scripts", cwd=CLIENTS)
    STAMP.write_text(str(node), "utf-8")


if __name__ == "__main__":
    main()
