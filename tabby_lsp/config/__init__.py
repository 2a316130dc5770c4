"""Every setting: what there is, where its value comes from, and who may say so.

Invariant: environment variables and settings files are read here and nowhere else.
"""

from tabby_lsp.config.contribution import vscode_configuration
from tabby_lsp.config.credentials import api_key_of
from tabby_lsp.config.directories import (
    data_dir,
    host_environment,
    llama_cpp_dirs,
    lm_studio_dirs,
    ollama_dirs,
    runtime_dirs,
    state_dir,
    temporary_dirs,
    user_config_path,
)
from tabby_lsp.config.hub import hub_mistake
from tabby_lsp.config.keys import KEYS, Key
from tabby_lsp.config.page import describe
from tabby_lsp.config.readers import (
    client_source,
    flag_source,
    makes_wait,
    read_environment,
    read_user_file,
)
from tabby_lsp.config.resolve import resolve
from tabby_lsp.config.settings import (
    BUILT_IN_ENGINE,
    REMOTE_KINDS,
    ChatSettings,
    CompletionSettings,
    ContextSettings,
    EngineSettings,
    HostSettings,
    LocalSettings,
    LogSettings,
    ServeSettings,
    Settings,
    StatsSettings,
)
from tabby_lsp.config.source import Problem, Resolved, Source
from tabby_lsp.config.tabby import Repository, name_of, read_repositories, tabby_root
from tabby_lsp.config.values import names_a_file
from tabby_lsp.config.writing import KeyPath, NotWritten, write_settings

__all__ = [
    "BUILT_IN_ENGINE",
    "KEYS",
    "REMOTE_KINDS",
    "ChatSettings",
    "CompletionSettings",
    "ContextSettings",
    "EngineSettings",
    "HostSettings",
    "Key",
    "KeyPath",
    "LocalSettings",
    "LogSettings",
    "NotWritten",
    "Problem",
    "Repository",
    "Resolved",
    "ServeSettings",
    "Settings",
    "Source",
    "StatsSettings",
    "api_key_of",
    "client_source",
    "data_dir",
    "describe",
    "flag_source",
    "host_environment",
    "hub_mistake",
    "llama_cpp_dirs",
    "lm_studio_dirs",
    "makes_wait",
    "name_of",
    "names_a_file",
    "ollama_dirs",
    "read_environment",
    "read_repositories",
    "read_user_file",
    "resolve",
    "runtime_dirs",
    "state_dir",
    "tabby_root",
    "temporary_dirs",
    "user_config_path",
    "vscode_configuration",
    "write_settings",
]
