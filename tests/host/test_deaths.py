"""What is told of a host that has died, and when a model is left alone."""

from __future__ import annotations

import pytest

from tabby_lsp.host.deaths import HUNG, MAX_DEATHS, STARTED, Deaths, last_words, no_more, once_more


def test_three_deaths_in_a_row_are_too_many() -> None:
    deaths = Deaths()
    for _ in range(MAX_DEATHS):
        assert not deaths.are_too_many
        deaths.count()
    assert deaths.are_too_many


def test_an_answer_forgives_all_deaths_before_it() -> None:
    deaths = Deaths()
    for _ in range(100):
        deaths.count()
        assert deaths.pause_s == 0
        deaths.forgive()
    assert not deaths.are_too_many


def test_the_pause_grows_between_deaths_in_a_row() -> None:
    deaths, pauses = Deaths(), []
    for _ in range(MAX_DEATHS):
        deaths.count()
        pauses.append(deaths.pause_s)
    assert pauses == sorted(set(pauses))
    assert pauses[0] == 0


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("Fatal Python error: Segmentation fault", "llama.cpp crashed"),
        ("Fatal Python error: Bus error", "cut off"),
        ("Fatal Python error: Illegal instruction", "processor"),
        ("ggml.c:42: GGML_ASSERT(ne > 0) failed\nFatal Python error: Aborted", "gave up"),
        ("CUDA error: out of memory\nFatal Python error: Aborted", "no memory left"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "no memory left"),
        ("ggml_vulkan: Device memory allocation of size 1 failed", "driver"),
        ("something else", "something else"),
        ("", "dmesg"),
    ],
)
def test_the_cause_is_told_from_the_last_words(words: str, cause: str) -> None:
    log = f"old Bus error\n{STARTED}: 41, tabby-lsp\n{STARTED}: 42, tabby-lsp\n{words}\n"
    said = last_words(log, 42)
    assert cause in once_more("starter", said)
    assert cause in no_more("starter", said)
    assert "old" not in no_more("starter", said)


def test_one_that_hung_is_told_apart() -> None:
    assert "did not answer any more" in once_more("starter", HUNG)


def test_a_log_that_was_cut_off_says_nothing_wrong() -> None:
    assert last_words("", 42) == ()
    assert last_words(f"{STARTED}: 43, tabby-lsp\nCUDA error", 42) == ()


def test_the_last_words_of_another_are_not_taken_for_its_own() -> None:
    log = f"{STARTED}: 42, tabby-lsp\nSegmentation fault\n{STARTED}: 421, tabby-lsp\n"
    assert last_words(log, 42)[0] == "Segmentation fault"
