"""The lists behind the rules: names of files, beginnings of tokens, marks and names of secrets.

Invariant: data only; in doubt an entry stands here, since a snippet less costs little.
"""

from __future__ import annotations

from typing import Literal

# Names in lower case, as fnmatch patterns. Not here, though others refuse them: every config.json,
# settings.json or *.crt (Continue's list does); what such a file holds decides.
SECRET_NAMES = (
    # environments: dotenv and its relatives
    ".env", ".env[._~-]*", "*.env", ".envrc", ".dev.vars", ".flaskenv",
    # keys, certificates with keys, key stores, password safes
    "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.ppk", "*.jks", "*.keystore", "*.kdb", "*.kdbx",
    "*.keychain", "*.keychain-db", "*.ovpn", "*.gpg", "*.pgp", "*.age",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*_rsa", "*_ed25519", "ssh_host_*_key",
    # what command line tools remember
    ".netrc", "_netrc", ".npmrc", ".pypirc", ".yarnrc", ".yarnrc.yml", ".pgpass", "pgpass.conf",
    ".my.cnf", ".mylogin.cnf", ".git-credentials", ".dockercfg", ".dockerconfigjson", ".s3cfg",
    ".boto", ".htpasswd", ".vault-token", ".vault_pass*", ".terraformrc", "terraform.rc",
    "rclone.conf", ".ftpconfig", "sftp.json", "sftp-config.json", ".remote-sync.json", "auth.json",
    "kubeconfig*", "*.kubeconfig", "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*",
    ".*_history",
    # what servers and frameworks keep
    "wp-config.php", "master.key", "*.yml.enc", "google-services.json", "*adminsdk*.json",
    "shadow", "gshadow", "*.token", ".token", "token", "token.txt",
    # files that say what they are
    "*.secret", "*.secrets", "secret", "secrets", ".secret", ".secrets", "*.credentials",
    "credentials", ".credentials", "password", "passwords",
)  # fmt: skip

# A telling stem makes a data file secret, but not a program: credentials.py is code like any other.
SECRET_STEMS = (
    "*secret*", "*credential*", "*password*", "*passwd*", "*service?account*", "*serviceaccount*",
    "*private?key*", "*privatekey*", "*api?key*", "*apikey*", "*access?key*", "*accesskey*",
)  # fmt: skip
DATA_EXTENSIONS = (
    "json", "json5", "yaml", "yml", "toml", "ini", "cfg", "conf", "config", "properties", "xml",
    "plist", "txt", "csv", "tsv", "env", "enc", "bak", "old", "db", "sqlite", "sqlite3",
)  # fmt: skip
SECRET_FOLDERS = (
    ".aws", ".azure", ".config/gcloud", ".config/gh", ".docker", ".gnupg", ".kube",
    ".password-store", ".secrets", ".ssh", ".vault",
)  # fmt: skip

# Tokens that say whose they are: a beginning, and what must follow it. Taken from the issuers' own
# documentation, as gitleaks and GitHub's secret scanning do.
ISSUED_TOKENS = {
    "A3T": r"[A-Z0-9]{17}",
    "AKIA": r"[A-Z0-9]{16}",  # Amazon Web Services
    "ASIA": r"[A-Z0-9]{16}",
    "ABIA": r"[A-Z0-9]{16}",
    "ACCA": r"[A-Z0-9]{16}",
    "AIza": r"[\w-]{30}",  # Google
    "ya29.": r"[\w-]{20}",
    "GOCSPX-": r"[\w-]{20}",
    "1//0": r"[\w-]{30}",
    "ghp_": r"[A-Za-z0-9]{30}",  # GitHub
    "gho_": r"[A-Za-z0-9]{30}",
    "ghu_": r"[A-Za-z0-9]{30}",
    "ghs_": r"[A-Za-z0-9]{30}",
    "ghr_": r"[A-Za-z0-9]{30}",
    "github_pat_": r"\w{20}",
    "glpat-": r"[\w-]{16}",  # GitLab
    "gldt-": r"[\w-]{16}",
    "glrt-": r"[\w-]{16}",
    "glcbt-": r"[\w-]{16}",
    "glptt-": r"[\w-]{16}",
    "GR1348941": r"[\w-]{16}",
    "ATATT3": r"[\w=-]{20}",  # Atlassian
    "ATCTT3": r"[\w=-]{20}",
    "ATBB": r"[A-Za-z0-9]{20}",
    "xox": r"[a-z]-[\w-]{10}",  # Slack
    "xapp-": r"[\w-]{10}",
    "sk-": r"(?:[a-z]{2,10}\d{0,2}-){0,3}+[A-Za-z0-9_]{16}",  # OpenAI, Anthropic, OpenRouter
    "sk_": r"(?:live|test|prod)_\w{10}",  # Stripe
    "rk_": r"(?:live|test|prod)_\w{10}",
    "whsec_": r"[\w+/]{16}",
    "hf_": r"[A-Za-z0-9]{25}",  # Hugging Face
    "api_org_": r"[A-Za-z0-9]{25}",
    "gsk_": r"[A-Za-z0-9]{20}",  # Groq
    "xai-": r"[A-Za-z0-9]{20}",
    "pplx-": r"[A-Za-z0-9]{20}",
    "r8_": r"[A-Za-z0-9]{30}",  # Replicate
    "npm_": r"[A-Za-z0-9]{30}",
    "pypi-": r"[\w-]{30}",
    "rubygems_": r"[a-f0-9]{30}",
    "cio": r"[A-Za-z0-9]{32}",  # crates.io
    "dckr_": r"(?:pat|oat)_[\w-]{20}",
    "dop_v1_": r"[a-f0-9]{32}",  # DigitalOcean
    "doo_v1_": r"[a-f0-9]{32}",
    "dor_v1_": r"[a-f0-9]{32}",
    "shpat_": r"[a-fA-F0-9]{30}",  # Shopify
    "shpca_": r"[a-fA-F0-9]{30}",
    "shpss_": r"[a-fA-F0-9]{30}",
    "SG.": r"[\w-]{16,32}+\.[\w-]{16}",  # SendGrid
    "key-": r"[0-9a-f]{32}",  # Mailgun
    "SK": r"[0-9a-f]{32}",  # Twilio
    "AC": r"[0-9a-f]{32}",
    "sq0": r"[a-z]{3}-[\w-]{20}",  # Square
    "EAA": r"[A-Za-z0-9]{40}",  # Facebook, Square
    "lin_api_": r"[A-Za-z0-9]{20}",
    "ntn_": r"[A-Za-z0-9]{30}",  # Notion
    "secret_": r"[A-Za-z0-9]{40}",
    "dapi": r"[0-9a-f]{30}",  # Databricks
    "hvs.": r"[\w-]{20}",  # HashiCorp
    "hvb.": r"[\w-]{20}",
    "AGE-SECRET-KEY-1": r"[A-Z0-9]{40}",
    "dp.": r"(?:pt|st|ct|sa|scim|audit)\.[\w.]{20}",  # Doppler
    "sntry": r"[su]_[\w+/=]{20}",  # Sentry
    "glsa_": r"\w{20}",  # Grafana
    "glc_": r"[\w+/=]{20}",
    "NRAK-": r"[A-Z0-9]{20}",  # New Relic
    "pscale_": r"(?:tkn|pw|oauth)_[\w.-]{20}",
    "PMAK-": r"[a-f0-9]{20}",  # Postman
    "pul-": r"[a-f0-9]{32}",  # Pulumi
    "tskey-": r"[\w-]{16}",  # Tailscale
    "sbp_": r"[a-f0-9]{32}",  # Supabase
    "sb_secret_": r"[\w-]{16}",
    "HRKU-": r"[\w-]{20}",  # Heroku
    "AKCp": r"[A-Za-z0-9]{40}",  # Artifactory
    "figd_": r"[\w-]{20}",
    "bkua_": r"[a-f0-9]{30}",  # Buildkite
    "CCIPAT_": r"\w{20}",  # CircleCI
    "sk.eyJ": r"[\w-]{20}",  # Mapbox
    "sl.": r"[\w-]{60}",  # Dropbox
    "eyJ": r"[\w-]{8,300}+\.eyJ[\w-]{8}",  # JSON web token
    "AAAA": r"[\w-]{7}:APA91[\w-]{30}",  # Firebase
}

# Text that is secret wherever it stands: a mark, and what must follow it.
MARKS = {
    "-----BEGIN": r"[A-Z0-9 ]{0,30} PRIVATE KEY",
    "PuTTY-User-Key-File": r"",
    "$ANSIBLE_VAULT": r"",
    "kind:": r"[ ]{0,4}[\"']?Secret[\"']?\s",  # a Kubernetes manifest
    '"kind"': r"\s{0,4}:\s{0,4}\"Secret\"",
    "hooks.slack.com/": r"(?:services|workflows|triggers)/\w",
    "/api/webhooks/": r"\d{6,25}/[\w-]{20}",  # Discord
    "webhook.office.com/": r"\w",
    ":AA": r"[\w-]{32}",  # Telegram: the digits of the bot stand before
    "8Q~": r"[\w.~-]{30}",  # Azure: three characters stand before
    "sig=": r"[\w%+/]{30}",  # Azure's shared access signature
    # passwords hashed by crypt, Django, Werkzeug, LDAP
    "$": r"(?:[1567y]|2[abxy]|apr1|argon2i?d?|pbkdf2-?\w{0,10}|scrypt|gy)\$[\w./=,$+-]{16}",
    "pbkdf2": r"(?:_\w{3,8}\$|:\w{3,8}:)\d{1,9}\$\S{16}",
    "scrypt:": r"\d{1,9}:\d{1,3}:\d{1,3}\$\S{16}",
    "{SSHA": r"\d{0,3}\}[\w+/=]{16}",
}

Kind = Literal["password", "key", "token"]

# Values without a name of their own: a mark in lower case, the pattern from there with the value as
# its group, and what kind of value it is.
_LITERAL = r"[bru]{0,2}[\"']([^\"'\n]{1,100})[\"']"
_TWO_LITERALS = r"[bru]{0,2}[\"'][^\"'\n]{1,100}[\"'],\s{0,20}" + _LITERAL
_USER_AND = r"\(\s{0,20}" + _TWO_LITERALS
VALUES: tuple[tuple[str, str, Kind], ...] = (
    ("://", r"://[^\s:@/\"']{0,100}:([^\s@/\"'`]{4,200})@", "password"),
    ("--", r"--[\w-]{0,30}pass(?:word|wd|phrase)? [\"']?([^\s\"']{1,200})", "password"),
    ("--", r"--[\w-]{0,30}(?:token|secret|key) [\"']?([^\s\"']{1,200})", "key"),
    (" -u", r" -u[ ]?[\"']?[\w.@-]{1,60}:([^\s\"'@/]{1,100})", "password"),
    ("--user", r"--user[ =][\"']?[\w.@-]{1,60}:([^\s\"'@/]{1,100})", "password"),
    ("sshpass -p", r"sshpass -p ?[\"']?([^\s\"']{1,100})", "password"),
    ("login ", r"login\s{1,20}\S{1,80}\s{1,20}password\s{1,20}(\S{1,100})", "password"),
    ("password is ", r"password is:? [\"'`]?([^\s\"'`]{1,100})", "key"),
    ("env ", r"env \w{0,40}pass(?:word|wd)? (\S{1,200})", "password"),
    ("env ", r"env \w{0,40}(?:token|secret|key) (\S{1,200})", "key"),
    ("identified by", r"identified by\s{1,4}" + _LITERAL, "password"),
    ("auth=(", r"auth=" + _USER_AND, "password"),
    ("auth = (", r"auth = " + _USER_AND, "password"),
    ("basicauth(", r"basicauth" + _USER_AND, "password"),
    ("basic_auth(", r"basic_auth" + _USER_AND, "password"),
    ("login(", r"login" + _USER_AND, "password"),
    ("getconnection(", r"getconnection\([^,()\n]{1,120},\s{0,20}" + _TWO_LITERALS, "password"),
    ("connect(", r"connect\(\s{0,20}[^,()\n]{1,120},\s{0,20}" + _TWO_LITERALS, "password"),
    ('"', r"\"(?!mailto|xmpp|sips?:|acct)[\w.-]{1,40}:([^\s@/:\"']{6,100})@[\w(]", "key"),
    ("'", r"'(?!mailto|xmpp|sips?:|acct)[\w.-]{1,40}:([^\s@/:\"']{6,100})@[\w(]", "key"),
    ("bearer ", r"bearer ([\w.~+/-]{16,400})", "token"),
    ("basic ", r"basic ([a-z0-9+/]{12,400}=?=?)", "token"),
)

# Names whose values are secret, in lower case; what stands before them decides further.
NAMES: tuple[tuple[str, str, Kind], ...] = (
    ("pass", r"pass(?:words?|wds?|wort|phrases?|codes?)?(?![a-z])", "password"),
    ("pw", r"pwd?(?![a-z0-9])", "password"),
    ("mnemonic", r"mnemonic(?![a-z])", "password"),
    ("seed", r"seed[_-]?(?:phrase|words)", "password"),
    ("recovery", r"recovery[_-]?(?:phrase|words)", "password"),
    ("secret", r"secrets?(?:[_-]?(?:access)?[_-]?(?:key|token|value|id)s?)?(?![a-z])", "key"),
    ("credential", r"credentials?(?![a-z])", "key"),
    ("key", r"keys?(?![a-z])", "key"),
    ("token", r"tokens?(?![a-z])", "token"),
    ("auth", r"auth(?:orization)?(?![a-z])", "token"),
    ("salt", r"salt(?![a-z])", "token"),
    ("cookie", r"cookie(?![a-z])", "token"),
    ("signature", r"signature(?![a-z])", "token"),
)
KEY_OWNERS = (
    "access", "account", "admin", "aes", "anthropic", "api", "app", "auth", "client", "consumer",
    "crypto", "decrypt", "decryption", "deploy", "encrypt", "encryption", "google", "hmac", "host",
    "integration", "jwt", "license", "maps", "master", "openai", "private", "root", "secret",
    "server", "service", "session", "shared", "sign", "signing", "ssh", "storage", "stripe",
    "subscription", "webhook", "write",
)  # fmt: skip
# Words that name a secret, stand in for one or name its type; a value with one of them and no digit
# is none.
KNOWN_WORDS = frozenset(
    """
    pass password passwd passphrase pwd secret secrets token tokens key keys auth authorization api
    credential credentials user username login email name field input label text string str hidden
    required optional default none null true false undefined empty example sample dummy placeholder
    change changeme replace insert enter your here todo fixme redacted removed invalid wrong missing
    prompt confirm confirmation reset forgot verify strength hash hashed bearer basic oauth type
    bytes byte int uint char varchar float bool sha utf ascii base arg argv value
    """.split()
)
# The small words of English: what holds them is a sentence, no passphrase.
SMALL_WORDS = frozenset(
    """
    a an and are as at be by can do for from has have if in is it less more must no not of on or
    please should that the their this to was when will with you
    """.split()
)

# What stands before a digest, which looks like a key and is none.
HASH_NAMES = (
    r"sha-?\d|md5|hash|digest|checksum|integrity|commit|\brev(?:ision)?\b|\bh1:|etag|crc|blake|"
    r"uuid|guid|fingerprint"
)
