"""Secrets are found by the names of files and in texts of many kinds, and ordinary code passes.

Every secret here is made up while the test runs, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import base64
import string
import sysconfig
import time
import uuid
from pathlib import Path
from random import Random

import pytest

from tabby_lsp.secrets import holds_secret, is_secret_path

ALPHANUMERIC = string.ascii_letters + string.digits


def check(text: str, *, is_secret: bool) -> None:
    around = f"import os\n\n\ndef main():\n    run()\n\n{text}\n\nprint('done')\n"
    assert holds_secret(text) is is_secret, text
    assert holds_secret(around) is is_secret, around


@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".env.production", "deploy/prod.env", ".env~", ".envrc", "a/.env.local.py"),
        *("server.pem", "tls/private.KEY", "id_rsa", "id_ed25519.bak", "release.jks", "x.kdbx"),
        *(".netrc", ".npmrc", "home/.pypirc", ".git-credentials", ".pgpass", ".bash_history"),
        *("/home/me/.aws/config", ".ssh/config", "C:\\Users\\me\\.kube\\config", ".gnupg/x"),
        *("secrets.yml", "config/credentials.json", "db_password.txt", "service-account.json"),
        *("terraform.tfvars", "prod.auto.tfvars", "terraform.tfstate.backup", "kubeconfig-dev"),
        *("credentials", "client_secret_12.apps.example.com.json", "api-keys.toml", "app.secrets"),
    ],
)
def test_a_files_name_tells_that_it_may_hold_secrets(path: str) -> None:
    assert is_secret_path(path)


@pytest.mark.parametrize(
    "path",
    [
        *("config.json", "settings.json", "appsettings.json", "ca.crt", "id.py", "env.py"),
        *("botocore/credentials.py", "src/secrets.go", "password_reset.html", "PasswordInput.tsx"),
        *("environment.ts", "keys.rs", "token.c", "tokens.json", "keyboard.py", "history.py", ""),
        *("docs/secret-rotation.md", "gcloud/main.py", ".venv/lib/x.py", "docker/compose.py"),
    ],
)
def test_an_ordinary_name_passes(path: str) -> None:
    assert not is_secret_path(path)


class Planted:
    """Made-up secrets, each different, the same ones for a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def word(self, n: int, alphabet: str = ALPHANUMERIC) -> str:
        return "".join(self._random.choices(alphabet, k=n))

    def password(self) -> str:
        word = self._random.choice(["Horse", "battery", "Staple", "winter"])
        number = self._random.randrange(10, 10_000)
        return self._random.choice(
            [
                f"{self.word(9)}7",
                f"{word}{number}!",
                f"{word}-{self.word(6)}{number}",
                f"S3cr3t#{self.word(6)}",
                "-".join(["correct", "horse", "battery", "staple", "x" + self.word(3).lower()]),
            ]
        )

    def token(self) -> str:
        return self._random.choice(
            [
                f"{self.word(23)}4",
                self.word(32, string.hexdigits.lower()),
                self.word(40, string.hexdigits.lower()),
                str(uuid.UUID(int=self._random.getrandbits(128))),
                base64.b64encode(self._random.randbytes(30)).decode(),
                base64.urlsafe_b64encode(self._random.randbytes(32)).decode(),
            ]
        )

    def issued(self) -> str:
        """A token of somebody's service, which its beginning gives away."""
        upper = string.ascii_uppercase + "234567"
        return self._random.choice(
            [
                "AKIA" + self.word(16, upper),
                "ghp_" + self.word(36),
                "github_pat_" + self.word(22) + "_" + self.word(59),
                "glpat-" + self.word(20),
                "hf_" + self.word(34, string.ascii_letters),
                "xoxb-" + self.word(12, string.digits) + "-" + self.word(24),
                "sk-" + self.word(48),
                "sk-proj-" + self.word(48),
                "sk-ant-api03-" + self.word(80),
                "AIza" + self.word(35),
                "sk_live_" + self.word(24),
                "npm_" + self.word(36),
                "pypi-AgEI" + self.word(80),
                "SG." + self.word(22) + "." + self.word(43),
                "eyJ" + self.word(30) + ".eyJ" + self.word(60) + "." + self.word(43),
                self.word(10, string.digits) + ":AA" + self.word(33),
                "https://hooks.slack.com/services/T" + self.word(8) + "/B" + self.word(24),
                "$2b$12$" + self.word(53),
                f"postgresql://app:{self.word(9)}3@db.example.com/app",
            ]
        )


PLACES = {
    "python": [
        'password = "{password}"',
        "DB_PASSWORD: str = '{password}'",
        'client = Client("https://api.example.com", api_key="{token}")',
        'os.environ["API_TOKEN"] = "{token}"',
        'os.getenv("SECRET_KEY", "{password}")',
        'requests.get(url, auth=("bob", "{password}"))',
        'password = (\n    "{password}"\n)',
        'SIGNING_KEY = b"{token}"',
        "# old password: {password}",
        'VALUE = "{issued}"',
        'smtp.login("me@example.com", "{password}")',
        'headers = {{"Authorization": "Bearer {token}"}}',
        'def connect(user="app", password="{password}"):',
        'dsn = "Server=db;User Id=sa;Password={password};"',
    ],
    "dotenv": ["DB_PASSWORD={password}", "export API_KEY={token}", "JWT_SECRET='{token}'"],
    "yaml": [
        "password: {password}",
        "  apiKey: '{token}'",
        "- name: DB_PASSWORD\n  value: {password}",
    ],
    "manifest": ["apiVersion: v1\nkind: Secret\ndata:\n  x: {token}"],
    "compose": ["POSTGRES_PASSWORD: ${{PW:-{password}}}"],
    "json": ['{{"password": "{password}"}}', '"clientSecret": "{token}",'],
    "notebook": ['"source": ["API_KEY = \\"{token}\\"\\n"]'],
    "ini": ["password = {password}", "aws_secret_access_key = {token}"],
    "toml": ['secret_key = "{token}"'],
    "properties": ["spring.datasource.password={password}"],
    "shell": [
        "curl -u admin:{password} https://example.com",
        'curl -H "X-Api-Key: {token}" https://example.com',
        "mysql --user=root --password {password}",
        "git clone https://x:{issued}@example.com/a/b",
    ],
    "dockerfile": ["ENV DB_PASSWORD {password}", "ARG API_KEY={token}"],
    "javascript": ["const password = '{password}';", "apiKey: process.env.KEY || '{token}',"],
    "typescript": ["const token: string = `{token}`;"],
    "java": [
        'private static final String PASSWORD = "{password}";',
        'b.setPassword("{password}");',
    ],
    "xml": ["<password>{password}</password>", '<add key="ApiKey" value="{token}" />'],
    "go": ['password := "{password}"', 'var apiKey string = "{token}"'],
    "ruby": ["config.secret_key = '{token}'", ":password => '{password}',"],
    "php": ["define('DB_PASSWORD', '{password}');", "$password = '{password}';"],
    "sql": ["CREATE USER app IDENTIFIED BY '{password}';"],
    "terraform": ['variable "db_password" {{\n  default = "{password}"\n}}'],
    "c": ['#define WIFI_PASSWORD "{password}"', 'static const char api_key[] = "{token}";'],
    "markdown": ["Sign in with password `{password}`."],
    "netrc": ["machine example.com login me password {password}"],
    "log": ["2025-01-01 GET /?access_token={token} 200"],
}


@pytest.mark.parametrize("kind", PLACES)
def test_secrets_planted_in_many_kinds_of_files_are_found(kind: str) -> None:
    for seed in range(20):
        planted = Planted(seed)
        for place in PLACES[kind]:
            check(
                place.format(
                    password=planted.password(), token=planted.token(), issued=planted.issued()
                ),
                is_secret=True,
            )


def test_a_private_key_is_found_whole_and_in_its_middle() -> None:
    body = base64.b64encode(Random(1).randbytes(480)).decode()
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    key = "\n".join(["-----BEGIN RSA " + "PRIVATE KEY-----", *lines, "-----END"])

    check(key, is_secret=True)
    check("\n".join(lines[3:6]), is_secret=True)
    check("-----BEGIN CERTIFICATE-----", is_secret=False)


def test_passphrases_are_found_and_sentences_pass() -> None:
    check('passphrase = "correct horse battery staple"', is_secret=True)
    check('mnemonic: "legal winner thank year wave sausage worth useful"', is_secret=True)
    check('"password": "the password you chose must be long"', is_secret=False)


@pytest.mark.parametrize(
    "code",
    [
        "password = get_password()",
        "token = tokens[0]",
        "password = getpass.getpass('Password: ')",
        'password = os.environ["DB_PASSWORD"]',
        "api_key = settings.api_key",
        "self.token = token or default_token",
        "def login(user: str, password: str = '') -> Token:",
        'PASSWORD_FIELD = "password"',
        '{"type": "password", "name": "password", "required": True}',
        'password: ${DB_PASSWORD}\napi_key: "{{ vault_api_key }}"',
        "password: <your-password>",
        'raise ValueError("password must have 12 characters")',
        "if token == 'identifier': return KeyError",
        "key = 'user:profile:v2'",
        "secretName: db-credentials",
        "  password: string;\n  token?: string;",
        'password = request.form["password"]',
        "assert check_password(password, user.password_hash)",
        "const password = document.getElementById('password').value",
        "postgresql://user:password@localhost/db",
        'url = f"https://{user}:{password}@example.com"',
        "mailto:somebody@example.com",
        "token = self._next_token(TokenKind.STRING)",
        'parser.add_argument("--password", help="the password to use")',
        "<label for='password'>Password</label>",
        "monkey = 'abcdef1234567890'",
        "from django.contrib.auth.password_validation import validate_password",
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[:0],
    ],
)
def test_ordinary_code_passes(code: str) -> None:
    check(code, is_secret=False)


def test_digests_that_say_what_they_are_pass() -> None:
    digest = Planted(1).word(64, string.hexdigits.lower())
    sri = base64.b64encode(Random(1).randbytes(64)).decode()

    check(f'checksum = "{digest}"', is_secret=False)
    check(f'{{ url = "x.whl", hash = "sha256:{digest}" }}', is_secret=False)
    check(f'"integrity": "sha512-{sri}"', is_secret=False)
    check(f"assert sha256(content).hexdigest() == '{digest}'", is_secret=False)
    check(f"uses: actions/checkout@{digest[:40]}", is_secret=False)


def test_fewer_than_one_window_of_the_standard_library_in_a_hundred_is_refused() -> None:
    windows = []
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:120]:
        lines = file.read_text("utf-8", "replace").split("\n")
        windows += ["\n".join(lines[i : i + 40]) for i in range(0, len(lines), 40)]

    refused = sum(map(holds_secret, windows))

    assert len(windows) > 1_000
    assert refused < len(windows) / 100


@pytest.mark.parametrize(
    "piece",
    [
        *("password=", "password", "eyJ", "://", "://a:", "sk-", '"', "'", "auth=(", "$1$", "aB3/"),
        *("password=${", 'password="${', "password: a.b->", "'password', ", "token = (", "--a "),
        *("secret {", 'password" { a ', "-----BEGIN ", "connect('a','", "\u0130", "password\n\n"),
    ],
)
def test_no_text_as_large_as_a_file_may_be_takes_long(piece: str) -> None:
    """Quadratic time would be minutes."""
    text = piece * (256 * 1024 // len(piece))

    start = time.process_time()
    holds_secret(text)

    assert time.process_time() - start < 5
