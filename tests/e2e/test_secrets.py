"""Secrets and files that git ignores never leave their files, while their neighbours help."""

from __future__ import annotations

import json
import random
import string
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import NEOVIM_0_12, initialize_params
from tests.e2e.wire import PATIENCE_S, Client, isolated_environment, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RNG = random.Random("secrets")


def _random(n: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(_RNG.choices(alphabet, k=n))


# Put together here, so that no scanner takes this file for a leak. Formats: the issuers' own.
_UPPER = string.ascii_uppercase + "234567"
SECRETS = {
    "aws_id": "AKIA" + _random(16, _UPPER),
    "aws_secret": "aws_secret_access_key=" + _random(40),
    "github": "ghp" + "_" + _random(36),
    "github_new": "github" + "_pat_" + _random(22) + "_" + _random(59),
    "hugging_face": "hf" + "_" + _random(34),
    "openai": "sk-" + "proj-" + _random(48),
    "slack": "xoxb" + "-" + _random(12, string.digits) + "-" + _random(24),
    "google": "AIza" + _random(35),
    "stripe": "sk" + "_live_" + _random(24),
    "jwt": "eyJ" + _random(33) + ".eyJ" + _random(40) + "." + _random(43),
    "pem": "-----BEGIN RSA " + "PRIVATE KEY-----\\n" + _random(64),
    "openssh": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\\n" + _random(64),
    "database": "postgres://shop:" + _random(20) + "@db.example.com/shop",
}
SECRET_FILES = (
    *(".env", ".env.local", ".envrc", ".netrc", ".npmrc", ".pypirc", ".aws/credentials"),
    *("id_rsa", "server.pem", "server.key", "credentials.json", "secrets.yaml"),
)
IGNORED_FILES = (
    *("shop/local_settings.py", "shop/private/prices.py", "shop/scratch.py"),
    *("shop/sub/client.py", "shop/build_orders.py", "shop/deep/a/b/cache.py"),
)

# What every planted file says too, so that it would be the best of neighbours.
NEIGHBOUR = """\
def total_price(order, customer, discount):
    subtotal = sum(line.price * line.quantity for line in order.lines)
    if customer.is_member and discount:
        subtotal = subtotal - subtotal * discount.rate
    return subtotal  # {marker}


{marker} = "{secret}"
"""
ORDERS = """\
from shop.prices import total_price


def order_total(order, customer, discount):
    subtotal = sum(line.price * line.quantity for line in order.lines)
    if customer.is_member and discount:
        subtotal = ║
    return subtotal


def order_lines(order, customer, discount):
    return [line for line in order.lines if ║
""".replace("║", "")


def marker(path: str) -> str:
    """A word that stands in one file only."""
    return "okapi_" + "".join(c if c.isalnum() else "_" for c in path)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with secrets, ignored files and one honest neighbour."""
    root = tmp_path_factory.mktemp("shop")

    def plant(path: str, secret: str = "") -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(NEIGHBOUR.format(marker=marker(path), secret=secret or _random(24)))

    for name, secret in SECRETS.items():
        plant(f"shop/{name}.py", secret)
    for path in (*SECRET_FILES, *(f"shop/{name}" for name in SECRET_FILES), *IGNORED_FILES):
        plant(path)
    plant("shop/honest.py", "nothing to hide")
    (root / "shop/orders.py").write_text(ORDERS)
    (root / "shop/alias.py").symlink_to("private/prices.py")
    (root / ".gitignore").write_text("local_settings.py\nprivate/\n/shop/build_*\n**/b/cache.py\n")
    (root / "shop/sub/.gitignore").write_text("*\n!.gitignore\n")
    environment = isolated_environment(tmp_path_factory.mktemp("git"))
    subprocess.run(["git", "init", "-q", root], check=True, env=environment)
    (root / ".git/info").mkdir(exist_ok=True)
    (root / ".git/info/exclude").write_text("scratch.py\n")
    subprocess.run(["git", "-C", root, "add", "-A"], check=True, env=environment)
    return root


@pytest.fixture(scope="module")
def told(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """All that the server let out, by where: segments, log, files and what it answered."""
    home = tmp_path_factory.mktemp("home")
    log = home / "tabby.log"
    before = set(shop.rglob("*"))
    with start(home, "--stdio", f"--log-file={log}") as client:
        client.initialize(initialize_params(NEOVIM_0_12, root=shop))
        client.open((shop / "shop/orders.py").as_uri(), ORDERS)
        client.wait_ready()
        answers = ask_everywhere(client, (shop / "shop/orders.py").as_uri())
        for path in (".env", "shop/secrets.yaml", "shop/github.py", *IGNORED_FILES):
            client.open((shop / path).as_uri(), (shop / path).read_text())
        client.open((shop / "shop/returns.py").as_uri(), ORDERS)
        answers += ask_everywhere(client, (shop / "shop/returns.py").as_uri())
        decisions = client.inspect(prompt=True, n=1000)["decisions"]
        assert len(decisions) <= 100, "of the older ones no texts are kept"
        client.call("shutdown")
        client.notify("exit")
        client.wait_ended(PATIENCE_S)
        files = [path for path in home.rglob("*") if path.is_file()]
        yield {
            "segments": json.dumps([decision["segments"] for decision in decisions]),
            "decisions": json.dumps(decisions),
            "answers": json.dumps(answers),
            "stderr": client.logged.decode(),
            "files": "".join(path.read_text(errors="replace") for path in files),
            "new in the workspace": " ".join(str(p) for p in shop.rglob("*") if p not in before),
        }


def ask_everywhere(client: Client, uri: str) -> list[object]:
    """Ask at the ends of all lines."""
    return [
        client.complete(uri, {"line": line, "character": 10_000})
        for line in range(len(ORDERS.splitlines()))
    ]


def test_an_honest_neighbour_helps(told: dict[str, str]) -> None:
    assert marker("shop/honest.py") in told["segments"]


@pytest.mark.parametrize("name", list(SECRETS))
def test_a_file_with_a_secret_in_it_gives_nothing(name: str, told: dict[str, str]) -> None:
    check_untold(told, SECRETS[name], marker(f"shop/{name}.py"))


@pytest.mark.parametrize("name", SECRET_FILES)
def test_a_file_with_a_secret_name_gives_nothing(name: str, told: dict[str, str]) -> None:
    check_untold(told, marker(name), marker(f"shop/{name}"))


@pytest.mark.parametrize("path", IGNORED_FILES)
def test_a_file_that_git_ignores_gives_nothing(path: str, told: dict[str, str]) -> None:
    check_untold(told, marker(path))


def segments_of(client: Client, uri: str, text: str, line: int) -> str:
    """What goes to the engine when ghost text is asked for at the end of a line."""
    client.open(uri, text)
    client.complete(uri, {"line": line, "character": 10_000})
    (decision,) = client.inspect(uri=uri, prompt=True)["decisions"]
    client.close(uri)
    return json.dumps(decision["segments"])


AREA = "\n\ndef area(width, height):\n    return width * \n\n\n"


def test_secrets_of_the_document_itself_stay_out_of_the_segments(ready: Client) -> None:
    above = [f'{name} = "{secret}"\n' for name, secret in SECRETS.items() if "KEY" not in secret]
    below = [f'{name} = "{secret}"\n' for name, secret in SECRETS.items()]
    text = "".join([*above, AREA, *below])
    segments = segments_of(ready, "untitled:secrets", text, len(above) + 3)
    assert "area(width, height)" in segments
    check_untold({"segments": segments, "log": ready.logged.decode()}, *SECRETS.values())


def test_code_about_keys_hides_nothing_but_keys(ready: Client) -> None:
    """The first line of a key is no key: what stands below it is still told."""
    header = "-----BEGIN RSA " + "PRIVATE KEY-----"
    text = f'def is_key(text):\n    return text.startswith("{header}")\n{AREA}'
    assert "area(width, height)" in segments_of(ready, "untitled:keys", text, 5)


def test_the_workspace_is_left_as_it_was(told: dict[str, str]) -> None:
    assert told["new in the workspace"] == ""


def check_untold(told: dict[str, str], *canaries: str) -> None:
    """None of these was let out anywhere."""
    leaks = [(where, c) for where, said in told.items() for c in canaries if c in said]
    assert leaks == []


def test_inside_a_secret_file_nothing_is_said(shop: Path, home: Path) -> None:
    text = "def area(width, height):\n    return width * \n"
    with start(home) as client:
        client.initialize(initialize_params(NEOVIM_0_12, root=shop))
        client.open("untitled:public", text)
        client.wait_ready()
        for path in (".env", "shop/id_rsa", "shop/.env.local"):
            uri = (shop / path).as_uri()
            client.open(uri, text)
            assert client.complete(uri, {"line": 1, "character": 19}) == []
            (decision,) = client.inspect(uri=uri, prompt=True)["decisions"]
            assert decision["outcome"] == "empty"
            assert not decision["segments"]
        assert client.complete("untitled:public", {"line": 1, "character": 19})
