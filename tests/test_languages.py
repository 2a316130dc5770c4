"""The table of languages is consistent and finds a file's language by its name."""

from collections import Counter

from tabby_lsp.languages import BY_ID, LANGUAGES, family_of, language_of


def test_a_files_ending_tells_its_language() -> None:
    names = {
        "a/b.py": "python",
        "types.pyi": "python",
        "App.TSX": "typescriptreact",
        "main.test.js": "javascript",
        "x.h": "c",
        "x.hpp": "cpp",
        "C:\\src\\Main.java": "java",
        "run.sh": "shellscript",
        ".github/workflows/ci.yml": "yaml",
    }

    assert {name: language_of(name) for name in names} == names


def test_an_unknown_ending_has_no_language() -> None:
    assert [language_of(name) for name in ("Makefile", "x.unknown", ".bashrc", "", "py")] == [
        ""
    ] * 5


def test_no_ending_and_no_id_stands_twice() -> None:
    endings = Counter(ending for language in LANGUAGES for ending in language.extensions)

    assert max(endings.values()) == 1
    assert len(BY_ID) == len(LANGUAGES)
    assert all(ending == ending.lower() and ending.startswith(".") for ending in endings)


def test_languages_whose_files_use_each_other_are_a_family() -> None:
    assert family_of("typescriptreact") == family_of("javascript") == family_of("vue")
    assert family_of("c") == family_of("cpp")
    assert family_of("python") != family_of("ruby")


def test_an_unknown_language_is_its_own_family() -> None:
    assert family_of("brainfuck") == "brainfuck"
