"""Grammars: what is of the language and what is not, and that no grammar hangs or crashes us."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import EngineError, Unusable
from tabby_lsp.engines.llama.constraint import Constraint

JSON = r"""
root   ::= value
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def is_of(grammar: str, text: str, n_bytes: int = 1) -> bool:
    """Whether it is a text of the language, given in pieces of so many bytes."""
    constraint, data = Constraint(grammar), text.encode()
    for start in range(0, len(data), n_bytes):
        piece = data[start : start + n_bytes]
        if piece[0] not in constraint.first_bytes() or not constraint.allows(piece):
            return False
        constraint.take(piece)
    return constraint.may_end


@given(value=VALUES, n_bytes=st.integers(1, 7), is_ascii=st.booleans())
def test_every_json_is_of_the_language_of_json(value: object, n_bytes: int, is_ascii: bool) -> None:
    """However its bytes are cut, also inside a character."""
    text = json.dumps(value, ensure_ascii=is_ascii).replace("\x7f", "")
    assert is_of(JSON, text, n_bytes)


@given(value=VALUES, place=st.integers(0), character=st.sampled_from('}]"x,\\\x01'))
def test_no_other_text_is(value: object, place: int, character: str) -> None:
    text = json.dumps(value)
    place %= len(text) + 1
    text = text[:place] + character + text[place:]
    try:
        json.loads(text)
    except ValueError:
        assert not is_of(JSON, text)


@pytest.mark.parametrize(
    ("grammar", "texts", "others"),
    [
        ('root ::= "a"{2,3} b?\nb ::= "b"', ["aa", "aaab"], ["a", "aaaa", "aabb"]),
        ('root ::= ("ab" | [x-z])+ # why not\n', ["ab", "xyzab"], ["", "a", "w"]),
        ('root ::= "ab"*', ["", "abab"], ["aba"]),
        ('root ::= "a"{2}', ["aa"], ["a", "aaa"]),
        ('root ::= "a"{1,}', ["a", "aaaa"], [""]),
        ("root ::= [^a-y\\n]", ["z", "é"], ["a", "\n", "zz"]),
        ("root ::= [a\\-c-e-]", ["a", "-", "c", "e"], ["b"]),
        ('root ::= "\\x41\\u00e9\\U0001F600\\n\\""', ['Aé\U0001f600\n"'], ["A"]),
        ("root ::= .", ["x", "\U0001f600"], ["xx", ""]),
        ('root ::= root "a" | ""', ["", "aaa"], ["b"]),  # llama.cpp refuses recursion on the left
        ('a ::= "x"\nroot ::=\n  a |\n  "y"', ["x", "y"], ["xy"]),
        ('root ::= "x" root "p" | "x" root "q" | "x"', ["x" * 20 + "pq" * 9 + "p"], ["x" * 20]),
    ],
)
def test_grammars_mean_what_llama_cpp_says(
    grammar: str, texts: list[str], others: list[str]
) -> None:
    assert all(is_of(grammar, text) for text in texts)
    assert not any(is_of(grammar, text) for text in others)


@pytest.mark.parametrize(
    ("grammar", "why"),
    [
        ("", "the rule root is nowhere"),
        ("root ::= other", "the rule other is nowhere"),
        ('root ::= "a', "line 1 cannot be read"),
        ('"a"', "line 1 cannot be read"),
        ('x ::= "a"\n\nroot ::= [', "line 3 cannot be read"),
        ("root ::= <[12]>", "line 1 cannot be read"),
        ('root ::= ("a"', "a bracket is not closed"),
        ('root ::= "a")', "a bracket is closed"),
        ("root ::= *", "nothing before a repetition"),
        ('root ::= "a"{3,2}', "ends before it begins"),
        ('root ::= "a"{99999999999}', "larger than 2000"),
        ("root ::= " + '"abc"{2000}' * 200, "more than 200,000 symbols"),
        ("root ::= " + "(" * 200_000 + '"a"' + ")" * 200_000, "more than 200,000 symbols"),
        ("root ::= " + "(" * 30_000, "a bracket is not closed"),
        (" " * (2 << 20), "longer than"),
        ("\0\ud800", "line 1 cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_grammar_is_a_sentence(grammar: str, why: str) -> None:
    with pytest.raises(Unusable, match="The grammar cannot be used") as caught:
        Constraint(grammar)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= root root | "a"',
        'root ::= (((((("a"*)*)*)*)*)*)*',
        'root ::= ("a"?){0,2000}',
        'root ::= "a" root "p" | "a" root "q" | "a"',
        "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000,
        "\n".join(f"r{n} ::= r{n + 1} r{n + 1}" for n in range(3000))
        + '\nr3000 ::= ""\nroot ::= r0 "a"{2000}',
    ],
)
def test_hostile_grammars_are_followed_or_given_up(grammar: str) -> None:
    """Two of these end the process in llama.cpp, and one takes it 2 to the power of the length."""
    try:
        constraint = Constraint(grammar)
        for _ in range(200):
            if not constraint.allows(b"a"):
                break
            constraint.take(b"a")
    except EngineError as error:
        assert "too ambiguous" in str(error)


def test_a_rule_that_never_ends_allows_nothing() -> None:
    constraint = Constraint("root ::= a\na ::= root")
    assert not constraint.first_bytes()
    assert not constraint.may_end


def test_half_a_character_is_allowed_where_it_can_become_one() -> None:
    constraint = Constraint("root ::= [à-ÿ]")
    assert constraint.allows("é".encode()[:1])
    assert not constraint.allows("Ā".encode()[:1])
    assert not constraint.allows(b"\xff")
    assert not constraint.allows(b"")
    constraint.take("é".encode()[:1])
    assert not constraint.may_end
    assert constraint.allows("é".encode()[1:])
    assert not constraint.allows(b"a")


@given(st.text(alphabet=string.printable + "é\U0001f600", max_size=30))
def test_a_literal_is_itself_alone(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    assert is_of(f'root ::= "{escaped}"', text)
    assert not is_of(f'root ::= "{escaped}"', text + "x")


def test_refused_tokens_are_no_ambiguity() -> None:
    """Of a large vocabulary tens of thousands may be tried before one is found that fits."""
    constraint = Constraint("root ::= [a-z]+")
    refused = b"thirtyletterstogether" + b"abcdefghi!"

    assert not any(constraint.allows(refused) for _ in range(12_000))
    assert constraint.allows(b"a")


def test_an_ambiguous_grammar_is_the_requests_own_fault() -> None:
    constraint = Constraint("root ::= root root | [a-z]")
    with pytest.raises(Unusable, match="too ambiguous"):
        for _ in range(2_000):
            constraint.take(b"a")
