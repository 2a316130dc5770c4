"""A model file's header is read right, and whatever is wrong with it is refused in a sentence."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from typing import TYPE_CHECKING

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabby_lsp.models.cursor import MAX_HEADER_BYTES, MAX_STRINGS
from tabby_lsp.models.gguf import Header, ModelFileError, read_header
from tabby_lsp.models.tensors import BLOCKS
from tests.models.model_files import (
    FIGURES,
    N_FIGURES,
    STARTER,
    STARTER_HEADER_BYTES,
    head,
    pair,
    tensor,
    text,
    with_tensors,
    write_model,
)

if TYPE_CHECKING:
    from pathlib import Path

_MANY = 1 << 40


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "model.gguf"


def check_refused(path: Path, *phrases: str) -> None:
    """The refusal is one line that names the file, the fault and, after a semicolon, the remedy."""
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    message = str(caught.value)
    assert str(path) in message
    assert message.isprintable()
    assert "; " in message
    for phrase in phrases:
        assert phrase in message


def check_bytes_refused(path: Path, data: bytes, *phrases: str) -> None:
    path.write_bytes(data)
    check_refused(path, *phrases)


def read_quickly(path: Path) -> Header | ModelFileError:
    """The outcome, which must come within a second."""
    started_s = time.process_time()
    try:
        return read_header(path)
    except ModelFileError as error:
        return error
    finally:
        assert time.process_time() - started_s < 1


def read_within_bounds(path: Path) -> Header | ModelFileError:
    """The outcome, which must come within a second and take less memory than two headers may."""
    tracemalloc.start()
    try:
        return read_quickly(path)
    finally:
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_HEADER_BYTES
        tracemalloc.stop()


def test_the_starter_is_read() -> None:
    header = read_header(STARTER)
    assert header.architecture == "llama"
    assert header.name == "tabby-lsp starter 4 (python)"
    assert (header.n_ctx_train, header.n_vocab, header.n_tensors) == (1024, 8192, 56)
    assert header.size_bytes == STARTER_HEADER_BYTES + header.tensor_bytes
    assert header.metadata["tabby_lsp.languages"] == ("python",)
    assert header.metadata["tokenizer.ggml.add_bos_token"] is False
    assert header.special_tokens["<file_sep>"] == 6
    assert header.special_tokens["["] == 65


def test_values_of_every_kind_are_read(tmp_path: Path) -> None:
    metadata = {
        "a.bool": True,
        "an.int": 7,
        "a.float": 0.5,
        "a.text": "Grüße\n",
        "some.ints": [1, 2, 3],
        "some.texts": ["x", ""],
    }
    header = read_header(write_model(tmp_path / "m.gguf", metadata=metadata))
    kept = {key: header.metadata[key] for key in metadata}
    assert kept == {**metadata, "some.ints": (1, 2, 3), "some.texts": ("x", "")}
    assert (header.tensor_bytes, header.n_tensors) == (128, 1)


def test_a_name_is_taken_from_the_file_where_the_model_has_none(tmp_path: Path) -> None:
    assert read_header(write_model(tmp_path / "nameless.gguf")).name == "nameless"


def test_numbers_are_told_from_what_is_none(tmp_path: Path) -> None:
    header = read_header(write_model(tmp_path / "m.gguf", metadata={"a.bool": True, "a.text": "1"}))
    assert [header.integer(key) for key in ("a.bool", "a.text", "nothing")] == [None] * 3
    assert [header.text(key) for key in ("a.bool", "a.text", "nothing")] == [None, "1", None]


def test_long_lists_are_passed_over(tmp_path: Path) -> None:
    metadata = {"long.ints": list(range(5000)), "long.texts": ["x"] * 5000, "after": 1}
    header = read_header(write_model(tmp_path / "m.gguf", metadata=metadata))
    assert header.metadata.keys() & metadata.keys() == {"after"}


def test_sizes_of_weights_are_those_of_the_gguf_package() -> None:
    # Q8_1 never stands in files, and the package has not followed a change of its size.
    theirs = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items() if kind != 9}
    assert {kind: BLOCKS[kind] for kind in theirs} == theirs


def test_a_vocabulary_of_152_000_tokens_is_read_in_a_moment(tmp_path: Path) -> None:
    tokens = [f"token{i}" for i in range(151_659)] + ["<|fim_prefix|>", "<|fim_middle|>"]
    merges = {"tokenizer.ggml.merges": [f"to ken{i}" for i in range(151_000)]}
    path = write_model(tmp_path / "m.gguf", tokens=tokens, metadata=merges)
    times_s = []
    for _ in range(3):
        started_s = time.process_time()
        header = read_header(path)
        times_s.append(time.process_time() - started_s)
    assert header.special_tokens == {"<|fim_prefix|>": 151_659, "<|fim_middle|>": 151_660}
    assert min(times_s) < 0.4  # 0.1 s on an idle core


def test_weights_of_a_terabyte_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(with_tensors(tensor("t", (1 << 19, 1 << 19))))
    os.truncate(path, (1 << 40) + 4096)
    outcome = read_within_bounds(path)
    assert isinstance(outcome, Header)
    assert outcome.tensor_bytes == 1 << 40


@pytest.mark.parametrize(
    ("data", "phrase"),
    [
        (struct.pack("<Q", 90) + b'{"__metadata__":{}}', "safetensors"),
        (b"PK\x03\x04\x00\x00archive/data.pkl", "zip archive"),
        (b"\x80\x02}q\x00", "pickle"),
        (b"\x1f\x8b\x08\x00", "an archive; unpack"),
        (b"tjgg\x03\x00\x00\x00", "from before GGUF"),
        (b"\n<!DOCTYPE html><html>", "a web page; download"),
        (b"<HTML>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s5--0.gguf\n", "git annex get"),
        (b"Invalid username or password.", "a text file"),
        (b'{"error": "Repository not found"}', "a text file"),
        (bytes(5000), "zeros"),
        (b"G", "a text file"),
        (bytes(range(128, 256)), "some other file"),
    ],
)
def test_what_is_no_gguf_is_called_by_its_name(scratch: Path, data: bytes, phrase: str) -> None:
    check_bytes_refused(scratch, data, "not a GGUF model but", phrase)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    check_refused(tmp_path / "absent.gguf", "there is no file")
    check_refused(tmp_path, "is a folder")
    check_refused(tmp_path / ("x" * 300), "cannot read")
    check_refused(STARTER / "below-a-file", "cannot read")


def test_a_null_character_in_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="null"):
        read_header(tmp_path / "a\0b")


def test_an_empty_file_is_refused(scratch: Path) -> None:
    check_bytes_refused(scratch, b"", "is empty")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    check_refused(tmp_path / "pipe.gguf", "not a regular file")


def test_a_link_to_nothing_is_refused_with_its_target(tmp_path: Path) -> None:
    link = tmp_path / "link.gguf"
    link.symlink_to(tmp_path / "gone.gguf")
    check_refused(link, "gone.gguf", "mend the link")
    link.unlink()
    link.symlink_to(".git/annex/objects/SHA256E-s5--0.gguf")
    check_refused(link, "git annex get")


@pytest.mark.parametrize(
    ("version", "phrase"),
    [(0, "too old"), (1, "too old"), (4, "update"), (3 << 24, "big-endian"), (3 << 16, "big")],
)
def test_other_versions_are_refused(scratch: Path, version: int, phrase: str) -> None:
    check_bytes_refused(scratch, head(version=version) + bytes(64), phrase)


def test_version_2_is_read(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf")
    path.write_bytes(b"GGUF\x02" + path.read_bytes()[5:])
    assert read_header(path).n_tensors == 1


LIES = {
    "tensors": head(n_tensors=_MANY),
    "no room for its tensors": head(n_tensors=30_000),
    "metadata keys": head(n_keys=_MANY),
    "no room for its keys": head(n_keys=4000),
    "a key's length": head(n_keys=1) + struct.pack("<Q", _MANY),
    "a text's length": head(n_keys=1) + pair("k", 8, struct.pack("<Q", _MANY)),
    "a list's length": head(n_keys=1) + pair("k", 9, struct.pack("<IQ", 0, _MANY)),
    "a list of texts": head(n_keys=1) + pair("k", 9, struct.pack("<IQ", 8, _MANY)),
    "a negative length": head(n_keys=1) + pair("k", 8, b"\xff" * 8),
    "a type": head(n_keys=1) + pair("k", 13, bytes(8)),
    "a list of lists": head(n_keys=1) + pair("k", 9, struct.pack("<IQ", 9, 1)),
    "a list of an unknown type": head(n_keys=1) + pair("k", 9, struct.pack("<IQ", 77, 1)),
    "an empty key": head(n_keys=1) + pair("", 4, bytes(4)),
    "a key twice": head(n_keys=2) + pair("k", 4, bytes(4)) * 2,
    "alignment 0": head(n_keys=5)
    + b"".join(FIGURES)
    + pair("general.alignment", 4, struct.pack("<I", 0)),
    "alignment 24": head(n_keys=5)
    + b"".join(FIGURES)
    + pair("general.alignment", 4, struct.pack("<I", 24)),
    "a tensor twice": with_tensors(tensor("t", (8,)), tensor("t", (8,), offset=32)),
    "a tensor's name": with_tensors(tensor("t" * 64, (8,))),
    "a tensor's dimensions": with_tensors(tensor("t", (1, 1, 1, 1, 1))),
    "a tensor's size": with_tensors(tensor("t", (1 << 32, 1 << 32))),
    "a dimension of 2**63": with_tensors(tensor("t", (1 << 63, 0))),
    "a tensor's type": with_tensors(tensor("t", (32,), kind=4)),
    "half a block": with_tensors(tensor("t", (33,), kind=8)),
    "a gap between tensors": with_tensors(tensor("t", (8,)), tensor("u", (8,), offset=64)),
    "tensors one over the other": with_tensors(tensor("t", (8,)), tensor("u", (8,))),
    "a tensor off its place": with_tensors(tensor("t", (8,), offset=4)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused(scratch: Path, lie: str) -> None:
    scratch.write_bytes(LIES[lie] + bytes(1 << 16))
    check_refused(scratch)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_in_a_large_file_costs_neither_time_nor_memory(scratch: Path, lie: str) -> None:
    scratch.write_bytes(LIES[lie])
    os.truncate(scratch, 1 << 42)
    assert isinstance(read_within_bounds(scratch), ModelFileError)


def test_a_list_of_empty_texts_as_long_as_the_file_is_refused(scratch: Path) -> None:
    n_items = MAX_STRINGS + 1
    scratch.write_bytes(head(n_keys=1) + pair("k", 9, struct.pack("<IQ", 8, n_items)))
    os.truncate(scratch, 1 << 40)
    outcome = read_within_bounds(scratch)
    assert isinstance(outcome, ModelFileError)
    assert "strings" in str(outcome)


def test_a_header_longer_than_any_is_refused(scratch: Path) -> None:
    n_items = MAX_HEADER_BYTES
    scratch.write_bytes(head(n_keys=1) + pair("k", 9, struct.pack("<IQ", 0, n_items)))
    os.truncate(scratch, 1 << 40)
    check_refused(scratch, "its header claims")


@pytest.mark.parametrize(
    "tokens", [["a", "b", "a"], ["a", "a\0b"], ["<x>", "", "", "<x>"]], ids=["same", "cut", "empty"]
)
def test_a_token_twice_is_refused(tmp_path: Path, tokens: list[str]) -> None:
    """llama.cpp would abort the process."""
    check_refused(write_model(tmp_path / "m.gguf", tokens=tokens), "a token stands twice")


def test_empty_tokens_may_stand_twice(tmp_path: Path) -> None:
    assert read_header(write_model(tmp_path / "m.gguf", tokens=["", "", "a"])).n_vocab == 3


@pytest.mark.parametrize("epsilon", [-1.0, float("nan"), -0.5])
def test_an_epsilon_below_zero_is_refused(tmp_path: Path, epsilon: float) -> None:
    """llama.cpp would abort the process."""
    key = "llama.attention.layer_norm_rms_epsilon"
    check_refused(write_model(tmp_path / "m.gguf", metadata={key: epsilon}), key)


@pytest.mark.parametrize(
    ("metadata", "phrase"),
    [
        ({"split.count": 3}, "one of the 3 parts"),
        ({"general.type": "adapter"}, "'adapter'"),
        ({"general.type": "mmproj"}, "'mmproj'"),
        ({"general.type": "x" * 100_000 + "\n"}, "has the type"),
        ({"llama.block_count": 0}, "has 0 for 'llama.block_count'"),
        ({"llama.block_count": 513}, "has 513"),
        ({"llama.context_length": "long"}, "has 'long'"),
        ({"llama.embedding_length": True}, "has True"),
    ],
)
def test_what_is_no_whole_model_is_refused(
    tmp_path: Path, metadata: dict[str, object], phrase: str
) -> None:
    check_refused(write_model(tmp_path / "m.gguf", metadata=metadata), phrase)


def test_a_model_in_one_part_is_read(tmp_path: Path) -> None:
    assert read_header(write_model(tmp_path / "m.gguf", metadata={"split.count": 1})).n_tensors == 1


def test_a_vocabulary_without_weights_is_refused(tmp_path: Path) -> None:
    check_refused(write_model(tmp_path / "m.gguf", tensors={}), "no weights")


def test_a_file_without_its_figures_is_refused(scratch: Path) -> None:
    check_bytes_refused(scratch, head() + tensor("t", (8,)) + bytes(99), "its architecture")
    one = head(n_keys=1) + FIGURES[0] + tensor("t", (8,)) + bytes(99)
    check_bytes_refused(scratch, one, "lacks 'llama.context_length'")


def test_every_one_of_500_truncations_is_refused(scratch: Path) -> None:
    whole = STARTER.read_bytes()
    scratch.write_bytes(whole)
    for part in reversed(range(500)):
        os.truncate(scratch, len(whole) * part // 500)
        check_refused(scratch)


def test_the_last_byte_is_missed(scratch: Path) -> None:
    whole = STARTER.read_bytes()
    check_bytes_refused(scratch, whole[:-1], "is cut off", f"{len(whole):,}", f"{len(whole) - 1:,}")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(n_bytes=st.integers(1, STARTER_HEADER_BYTES))
def test_a_header_cut_anywhere_is_refused(scratch: Path, n_bytes: int) -> None:
    with STARTER.open("rb") as file:
        scratch.write_bytes(file.read(n_bytes))
    check_refused(scratch)


# Where the header holds counts, lengths and types rather than text.
_METADATA = st.integers(0, 900) | st.integers(264_000, STARTER_HEADER_BYTES - 1)
_ANYWHERE = st.integers(0, STARTER_HEADER_BYTES - 1)
_STRETCHES = st.sampled_from([b"\0" * 8, b"\xff" * 8, b"\0" * 7 + b"\x80", b"\0\0\0\x80", b"\xff"])


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    damages=st.lists(
        st.tuples(_METADATA | _ANYWHERE, _STRETCHES | st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=4,
    )
)
def test_damage_ends_in_a_header_or_a_refusal(
    scratch: Path, damages: list[tuple[int, bytes]]
) -> None:
    with STARTER.open("rb") as file:
        data = bytearray(file.read(STARTER_HEADER_BYTES))
    for place, stretch in damages:
        data[place : place + len(stretch)] = stretch
    scratch.write_bytes(data)
    os.truncate(scratch, STARTER.stat().st_size)
    outcome = read_quickly(scratch)
    if isinstance(outcome, ModelFileError):
        assert str(outcome).startswith(str(scratch))
        assert str(outcome).isprintable()


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_after_the_magic_are_refused(scratch: Path, data: bytes) -> None:
    scratch.write_bytes(head(n_tensors=1, n_keys=N_FIGURES) + data)
    assert isinstance(read_quickly(scratch), ModelFileError)


def test_texts_in_the_tests_are_as_the_package_writes_them(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf", metadata={"k": "v"})
    assert pair("k", 8, text("v")) in path.read_bytes()
