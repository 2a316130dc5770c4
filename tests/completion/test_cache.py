"""What the cache answers without a model, drawn as documents before and after some typing."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tabby_lsp.completion.cache import (
    MAX_ENTRIES,
    NOTHING,
    CompletionCache,
)
from tabby_lsp.completion.place import Place
from tabby_lsp.domain import Completion

URI = "file:///project/shop.py"


def check(before: str, after: str) -> None:
    """Store the completion drawn in `before`; `after` draws what is found then, or ║ for nothing.

    `├text┤` is a completion at the cursor, `├text┤rest╣` one that takes the place of `rest`.
    """
    cache = CompletionCache()
    prefix, completion, suffix = read(before)
    assert completion is not None
    cache.put(place(prefix, suffix), completion)
    prefix, expected, suffix = read(after)
    assert cache.get(place(prefix, suffix)) == expected


def read(drawing: str) -> tuple[str, Completion | None, str]:
    if "║" in drawing:
        prefix, suffix = drawing.split("║")
        return prefix, None, suffix
    prefix, rest = drawing.split("├")
    text, suffix = rest.split("┤")
    replaced = suffix.partition("╣")[0] if "╣" in suffix else ""
    return prefix, Completion(text=text, replaced=replaced), suffix.replace("╣", "")


def place(prefix: str, suffix: str, uri: str = URI, *, window_chars: int = 6_000) -> Place:
    return Place(uri, prefix[-window_chars:], suffix[:window_chars])


def test_asking_again_finds_the_same() -> None:
    check(
        "def area(w, h):\n    ├return w * h┤\n\nprint()\n",
        "def area(w, h):\n    ├return w * h┤\n\nprint()\n",
    )


def test_typing_along_keeps_all_lines() -> None:
    check(
        "def area(w, h):\n    ├size = w * h\n    return size┤\n",
        "def area(w, h):\n    siz├e = w * h\n    return size┤\n",
    )


def test_typing_along_goes_over_line_ends() -> None:
    check(
        "def area(w, h):\n    ├size = w * h\n    return size┤\n",
        "def area(w, h):\n    size = w * h\n    re├turn size┤\n",
    )


def test_enter_in_a_crlf_document_is_typing_along() -> None:
    check("if a:\r\n    ├b()\n    c()┤\r\n", "if a:\r\n    b()\r\n    ├c()┤\r\n")


def test_a_text_with_crlf_keeps_its_line_ends() -> None:
    check("if a:\r\n    ├b()\r\n    c()\r\n    d()┤", "if a:\r\n    b()\r\n    ├c()\r\n    d()┤")


def test_the_last_character_is_still_proposed() -> None:
    check("x = ├foo┤\n", "x = fo├o┤\n")


def test_nothing_is_left_of_an_accepted_text() -> None:
    check("x = ├foo┤\n", "x = foo║\n")


def test_another_letter_finds_nothing() -> None:
    check("x = ├foo┤\n", "x = fu║\n")


def test_another_suffix_finds_nothing() -> None:
    check("x = ├foo┤\ny = 1\n", "x = f║\ny = 2\n")


def test_a_longer_document_below_is_another_suffix() -> None:
    check("x = ├foo┤", "x = f║\n")


def test_an_edit_far_above_does_not_matter() -> None:
    body = "".join(f"line {number}\n" for number in range(300))
    check(f"old\n{body}x = ├foo┤\n", f"new, longer\n{body}x = f├oo┤\n")


def test_an_edit_just_above_finds_nothing() -> None:
    check("import json\nx = ├json.loads(s)┤\n", "import yaml\nx = ║\n")


def test_an_edit_some_lines_above_finds_nothing() -> None:
    body = "".join(f"line {number}\n" for number in range(20))
    check(f"old\n{body}x = ├foo┤\n", f"new\n{body}x = ║\n")


def test_an_edit_far_below_does_not_matter() -> None:
    body = "".join(f"line {number}\n" for number in range(300))
    check(f"x = ├foo┤\n{body}old\n", f"x = f├oo┤\n{body}new\n")


def test_the_window_may_slide_and_may_be_narrow() -> None:
    body = "".join(f"line {number}\n" for number in range(2000))
    cache = CompletionCache()
    for window_chars in (6_000, 2_000, 1_000, 200):
        cache.put(place(body, body, window_chars=window_chars), Completion(text="one, two, three"))
        now = place(body + "one, t", body, window_chars=window_chars)
        assert cache.get(now) == Completion(text="wo, three")


def test_the_window_may_begin_elsewhere_after_enter() -> None:
    body = "".join(f"line {number}\n" for number in range(60))
    cache = CompletionCache()
    cache.put(Place(URI, body, ""), Completion(text="one\ntwo"))
    assert cache.get(Place(URI, f"{body[200:]}one\n", "")) == Completion(text="two")


def test_the_window_below_may_move_up_by_a_closer() -> None:
    below = "".join(f"line {number}\n" for number in range(60))
    cache = CompletionCache()
    cache.put(place("x = ", below, window_chars=100), Completion(text="f(a)\nb"))
    found = cache.get(place("x = f(", f"){below}", window_chars=100))
    assert found == Completion(text="a)\nb", replaced=")")


def test_a_short_document_is_not_the_end_of_a_long_one() -> None:
    check("x = ├foo┤", "if x:\n    x = ║")


def test_replaced_closers_stay_replaced_while_they_are_ahead() -> None:
    check("f(├a, b)┤)╣\n", "f(a, ├b)┤)╣\n")


def test_a_closer_put_in_by_the_editor_is_replaced() -> None:
    check("x = ├f(a)\ny = 2┤\n", "x = f(├a)\ny = 2┤)╣\n")


def test_several_closers_put_in_by_the_editor_are_replaced() -> None:
    check('x = ├f(["a"])┤\n', 'x = f(["├a"])┤"])╣\n')


def test_a_closer_is_put_in_before_replaced_ones() -> None:
    check("f(├g(a))┤)╣\n", "f(g(├a))┤))╣\n")


def test_a_typed_over_closer_is_no_longer_replaced() -> None:
    check("f(├a) + 1┤)╣\n", "f(a)├ + 1┤\n")


def test_typing_over_leaves_the_rest_of_the_replaced() -> None:
    check("if f(├a) and b:┤):╣\n", "if f(a)├ and b:┤:╣\n")


def test_a_closer_that_the_text_does_not_hold_finds_nothing() -> None:
    check("x = ├f(a,┤\n", "x = f(║)\n")


def test_replaced_closers_that_were_typed_past_find_nothing() -> None:
    check("f(├a) + 1┤)╣\n", "f(a)║)\n")


def test_code_put_in_right_of_the_cursor_finds_nothing() -> None:
    check("x = ├f(ab)┤\n", "x = f(║b\n")


def test_enter_between_a_pair_proposes_what_stands_inside() -> None:
    check("x = ├f(\n    a,\n    b,\n)┤\n", "x = f(\n    ├a,\n    b,┤\n)\n")


def test_nothing_to_say_is_remembered() -> None:
    check("x = 1├┤\n", "x = 1├┤\n")


def test_nothing_to_say_holds_for_its_own_place_only() -> None:
    check("x = 1├┤\n", "x = 12║\n")


def test_a_line_that_ends_like_the_one_above_is_another_place() -> None:
    """A small model says a long line twice, and at the end of the first there is nothing to add."""
    line = "    reply = Reply(message.get('method', ''), message.get('jsonrpc'))"
    cache = CompletionCache()
    for text in (line, f"{line}\n{line}"):
        cache.put(place(text, "\n"), NOTHING)
    for text in (line, f"{line}\n{line}"):
        assert cache.get(place(text, "\n")) == NOTHING


def test_nothing_to_say_is_told_apart_from_not_known() -> None:
    cache = CompletionCache()
    assert cache.get(place("x", "")) is None
    cache.put(place("x", ""), NOTHING)
    assert cache.get(place("x", "")) is NOTHING


def test_another_document_finds_nothing() -> None:
    cache = CompletionCache()
    cache.put(place("x = ", ""), Completion(text="foo"))
    assert cache.get(place("x = ", "", uri="file:///project/other.py")) is None


def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    cache = CompletionCache()
    cache.put(place("x = ", ")"), Completion(text="old)", replaced=")"))
    cache.put(place("x = ", ")"), NOTHING)
    assert cache.get(place("x = ", ")")) is NOTHING
    assert cache.get(place("x = o", ")")) is None


def test_the_answer_seen_last_wins() -> None:
    cache = CompletionCache()
    cache.put(place("x = ", ""), Completion(text="foo(a)"))
    cache.put(place("x = f", ""), Completion(text="ork()"))
    assert cache.get(place("x = fo", "")) == Completion(text="rk()")
    assert cache.get(place("x = ", "")) == Completion(text="foo(a)")
    assert cache.get(place("x = fo", "")) == Completion(text="o(a)")


def test_backspacing_over_a_wrong_letter_finds_the_text_again() -> None:
    cache = CompletionCache()
    cache.put(place("x = ", ""), Completion(text="foo"))
    assert cache.get(place("x = fu", "")) is None
    cache.put(place("x = fu", ""), Completion(text="nc()"))
    assert cache.get(place("x = f", "")) == Completion(text="oo")
    assert cache.get(place("x = ", "")) == Completion(text="foo")


def test_only_the_latest_entries_are_kept() -> None:
    cache = CompletionCache()
    for number in range(MAX_ENTRIES + 1):
        cache.put(place(f"x{number} = ", ""), Completion(text="foo"))
        cache.get(place("x0 = ", ""))
    assert cache.get(place("x0 = ", "")) == Completion(text="foo")
    assert cache.get(place("x1 = ", "")) is None
    assert cache.get(place("x2 = ", "")) == Completion(text="foo")


anything = st.text(st.characters(exclude_characters="\r"), max_size=40)
long_prefixes = st.builds(
    lambda n, end: "".join(f"line {number}\n" for number in range(n)) + end,
    st.integers(0, 600),
    anything,
)


@given(long_prefixes, anything, anything.filter(bool))
def test_every_beginning_of_a_text_finds_its_end(prefix: str, suffix: str, text: str) -> None:
    cache = CompletionCache()
    cache.put(place(prefix, suffix), Completion(text=text))
    for n_typed in range(len(text)):
        left = cache.get(place(prefix + text[:n_typed], suffix))
        assert left == Completion(text=text[n_typed:])
    assert cache.get(place(prefix + text, suffix)) is None


few = st.text("ab()\n", max_size=6)


@given(few, few, few, st.integers(0, 2), few, few)
@example("", ")", "a)b", 1, "a)", "")
@example("", "", "a(b)", 0, "a(", ")")
@example("", "", "(\na\n)", 0, "(\n", "\n)")
def test_accepting_what_is_found_gives_the_document_that_was_meant(
    prefix: str, suffix: str, text: str, n_replaced: int, new_prefix: str, new_suffix: str
) -> None:
    replaced = suffix.partition("\n")[0][:n_replaced]
    cache = CompletionCache()
    cache.put(place(prefix, suffix), Completion(text=text, replaced=replaced))
    new_prefix = prefix + new_prefix
    left = cache.get(place(new_prefix, new_suffix))
    if left is not None:
        assert new_suffix.startswith(left.replaced)
        assert "\n" not in left.replaced
        meant = prefix + text + suffix[len(replaced) :]
        assert new_prefix + left.text + new_suffix[len(left.replaced) :] == meant
