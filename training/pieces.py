"""The special pieces of the vocabulary, which come first, and their ids."""

from __future__ import annotations

SPECIAL = ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>",
           "<repo_name>", "<file_sep>")  # fmt: skip
END, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, FIM_PAD, REPOSITORY, FILE_SEP = range(7)
N_SPECIAL = len(SPECIAL)
