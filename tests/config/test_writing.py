"""What is written into the user's file, and that everything else in it stays as it is."""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.config import NotWritten, write_settings
from tabby_lsp.config.writing import with_settings

if TYPE_CHECKING:
    from pathlib import Path


def check(before: str, after: str | None) -> None:
    """A file, and the same after `model` was set to "new"; None where it is left alone."""
    assert with_settings(before, {("model",): "new"}) == after


def test_a_file_that_is_empty() -> None:
    check("", 'model = "new"\n')


def test_the_value_is_exchanged_where_it_stands() -> None:
    check(
        '# Mine.\nengine = "local"\nmodel = "old"   # the small one\n\n[log]\nlevel = "info"\n',
        '# Mine.\nengine = "local"\nmodel = "new"   # the small one\n\n[log]\nlevel = "info"\n',
    )


@pytest.mark.parametrize(
    "old",
    ['"old"', "'old'", '"""old"""', "'''old'''", '"ol\\"d # no comment"', "'a#b'", '""', '"new"',
     "'C:\\models\\old.gguf'"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["model = {}", "model={}", "  model =  {}", '"model" = {}'])
def test_every_form_of_the_old_value(form: str, old: str) -> None:
    new = form.format('"new"')
    check(f"x = 1\n{form.format(old)}\ny = 2\n", f"x = 1\n{new}\ny = 2\n")


def test_a_new_setting_stands_above_the_sections() -> None:
    check('[log]\nlevel = "info"\n', 'model = "new"\n\n[log]\nlevel = "info"\n')
    check('engine = "local"\n', 'model = "new"\n\nengine = "local"\n')


def test_what_the_first_comment_says_of_the_file_stays_first() -> None:
    check("# Mine.\n\n[log]\n", '# Mine.\n\nmodel = "new"\n\n[log]\n')
    check("# Of the log.\n[log]\n", 'model = "new"\n\n# Of the log.\n[log]\n')
    check("# Mine.\n", 'model = "new"\n\n# Mine.\n')


def test_a_model_of_a_section_is_another_setting() -> None:
    check('[other]\nmodel = "old"\n', 'model = "new"\n\n[other]\nmodel = "old"\n')


def test_a_line_inside_a_text_is_no_setting() -> None:
    text = 'x = """\nmodel = "old"\n"""\n'
    check(text, f'model = "new"\n\n{text}')
    check(f'{text}model = "old"\n', f'{text}model = "new"\n')


def test_a_comment_is_no_setting() -> None:
    check('# model = "old"\n\nx = 1\n', '# model = "old"\n\nmodel = "new"\n\nx = 1\n')


def test_line_ends_and_the_byte_order_mark_stay() -> None:
    check("\ufeffx = 1\r\n[log]\r\n", '\ufeffmodel = "new"\r\n\r\nx = 1\r\n[log]\r\n')
    check('\ufeffmodel = "old"\r\nx = 1', '\ufeffmodel = "new"\r\nx = 1')


def test_a_file_without_a_last_line_end() -> None:
    check('model = "old"', 'model = "new"')
    check("[log]", 'model = "new"\n\n[log]')


def test_values_that_are_like_nothing_else() -> None:
    text = "a = nan\nb = 1979-05-27T07:32:00Z\nc = [1, [2]]\nd = {e = inf}\n"
    check(text, f'model = "new"\n\n{text}')


@pytest.mark.parametrize(
    "text",
    ["model = ", "=", "x = 1\nx = 2\n", 'model = """a\nb"""\n', "model.x = 1\n", "[model]\nx = 1\n",
     "[[model]]\nx = 1\n", "\0", "x = " + "[" * 50_000],
)  # fmt: skip
def test_what_cannot_be_changed_safely_is_left_alone(text: str) -> None:
    check(text, None)


def test_a_number_in_its_place_is_left_to_the_user() -> None:
    check("model = 5\n", None)


LINES = st.sampled_from(
    ['model = "old"', "model = 'old' # why", '# model = "x"', "x = 1", 'y = """', 'z = "\'"', "'''",
     '"""', "[log]", "[[a]]", 'level = "info"', "", "   ", "m = {model = 'a'}", '"model" = "b"',
     "model.x = 2", "a.model = 3", "w = '''", "[model]", "q = [", "]", "\t#"]
)  # fmt: skip
NEWLINES = st.sampled_from(["\n", "\r\n"])


@given(st.lists(LINES, max_size=12), NEWLINES, st.sampled_from(["", "\ufeff"]), st.booleans())
def test_whatever_stands_there_only_the_setting_changes(
    lines: list[str], newline: str, mark: str, has_end: bool
) -> None:
    before = mark + newline.join(lines) + (newline if has_end else "")
    after = with_settings(before, {("model",): "new"})
    if after is None:
        return
    assert after.startswith(mark)
    before, after = before.removeprefix(mark), after.removeprefix(mark)
    assert tomllib.loads(after) == tomllib.loads(before) | {"model": "new"}
    left = [line for line in before.splitlines() if line.strip() and "model" not in line]
    kept = [line for line in after.splitlines() if line.strip() and "model" not in line]
    assert kept == left
    assert [line.count("#") for line in after.splitlines() if "#" in line] == [
        line.count("#") for line in before.splitlines() if "#" in line
    ]


# A setting of a table, and several at once.

ENGINE = {("engine",): "o", ("engines", "o", "kind"): "ollama", ("engines", "o", "model"): "m"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'engine = "o"\n\n[engines.o]\nkind = "ollama"\nmodel = "m"\n'),
        ("# Mine.\n\n[log]", '# Mine.\n\nengine = "o"\n\n[log]\n\n[engines.o]\nkind = "ollama"\n'
         'model = "m"\n'),
        ("[engines.o] # here\nurl = 'x'\n", 'engine = "o"\n\n[engines.o] # here\nkind = "ollama"\n'
         "model = \"m\"\nurl = 'x'\n"),
        ("engine = 'x'\n[ engines . \"o\" ]\nmodel = '' # why\n[log]\n",
         'engine = "o"\n[ engines . "o" ]\nkind = "ollama"\nmodel = "m" # why\n[log]\n'),
        ("engines.o.kind = 'a'\nengines.o.model = 'b'\n", None),
        ("engines = {o = {}}\n", None),
        ("[[engines.o]]\n", None),
        ("[engines]\no = 5\n", None),
        ("engine = 5\n", None),
    ],
)  # fmt: skip
def test_an_engine_is_written_as_a_whole_or_not_at_all(before: str, after: str | None) -> None:
    assert with_settings(before, ENGINE) == after


def test_a_table_like_another_ones_is_another() -> None:
    before = '[engines.oo]\nkind = "x"\n[other.engines.o]\nkind = "y"\n'
    after = with_settings(before, ENGINE)
    assert after is not None
    assert tomllib.loads(after) == tomllib.loads(before) | {
        "engine": "o",
        "engines": {"oo": {"kind": "x"}, "o": {"kind": "ollama", "model": "m"}},
    }
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []


TABLES = st.sampled_from(
    ["[engines.o]", "[engines]", "[engines.p] # o", "kind = 'a'", 'kind = "b" # why', "model = ''",
     "x = 1", "# [engines.o]", 'y = """', '"""', "[a]", "engine = 'e'", "o.kind = 'c'", ""]
)  # fmt: skip


@given(st.lists(TABLES, max_size=10), NEWLINES)
def test_whatever_stands_there_only_the_engine_changes(lines: list[str], newline: str) -> None:
    before = newline.join(lines)
    after = with_settings(before, ENGINE)
    if after is None:
        return
    was, now = tomllib.loads(before), tomllib.loads(after)
    table = now["engines"]["o"]
    assert (now.pop("engine"), table.pop("kind"), table.pop("model")) == ("o", "ollama", "m")
    was.pop("engine", None)
    left = was.setdefault("engines", {}).setdefault("o", {})
    left.pop("kind", None)
    left.pop("model", None)
    assert now == was
    assert after.count("#") == before.count("#")


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_any_value_can_be_written(value: str) -> None:
    after = with_settings("x = 1\n", {("model",): value})
    assert after is not None
    assert tomllib.loads(after) == {"model": value, "x": 1}


def test_a_table_for_the_user_to_write_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("engines = {}\n")
    with pytest.raises(NotWritten) as refused:
        write_settings(path, ENGINE)
    assert str(refused.value).endswith(
        'above its first [section]: engine = "o"; and at its end:\n'
        '[engines.o]\nkind = "ollama"\nmodel = "m"'
    )
    assert path.read_text() == "engines = {}\n"


# The file itself.


def test_a_file_is_made_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "not yet" / "config.toml"
    write_settings(path, {("model",): "a"})
    assert path.read_bytes() == b'model = "a"\n'


def test_a_link_stays_a_link_and_rights_stay_rights(tmp_path: Path) -> None:
    own = tmp_path / "dotfiles" / "tabby.toml"
    own.parent.mkdir()
    own.write_text('model = "old"\n')
    own.chmod(0o600)
    link = tmp_path / "config.toml"
    link.symlink_to(own)
    write_settings(link, {("model",): "a"})
    assert link.is_symlink()
    assert own.read_text() == 'model = "a"\n'
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert os.listdir(own.parent) == ["tabby.toml"]


@pytest.mark.parametrize("content", [b"model = \n", b"\xff\xfe\n", b'model = """a\nb"""\n'])
def test_a_file_that_is_left_alone_is_answered_with_the_line(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(NotWritten, match=r'write this line into it.*: model = "a"$'):
        write_settings(path, {("model",): "a"})
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["config.toml"]


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(NotWritten, match="was not changed"):
        write_settings(tmp_path / "config.toml", {("model",): "a"})
