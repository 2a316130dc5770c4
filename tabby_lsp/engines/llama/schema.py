"""From a JSON Schema to the grammar of the JSON that is of its shape.

llama-cpp-python's converter does the work. It trusts its schema: so what would make it run for
long, or fill the memory, is refused before, and what it does not know becomes a sentence.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tabby_lsp.domain import EngineError, Unusable
from tabby_lsp.engines.llama import library

_MAX_CHARS = 64 * 1024
_MAX_GRAMMAR_CHARS = 1 << 20
_MAX_VALUES = 4000
_MAX_PROPERTIES = 200  # of one object; it writes a rule for each pair of them
_MAX_NAME_CHARS = 128  # names are strung together on the way down
_MAX_DEPTH = 32
_MAX_COUNT = 1000
_MAX_PATTERN_CHARS = 1000
_CLASSES = {"\\d": "0-9", "\\w": "a-zA-Z0-9_", "\\s": " \\t\\n\\r"}
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength")


def grammar_of_schema(schema: str) -> str:
    """GBNF whose `root` is the schema's JSON; raises Unusable where there is none."""
    if len(schema) > _MAX_CHARS:
        raise _unusable(f"it is longer than {_MAX_CHARS:,} characters")
    library.opened()
    try:
        parsed = json.loads(schema)
        _check(parsed)
        grammar = _converted(parsed)
    except EngineError:
        raise
    except RecursionError:
        raise _unusable("it is nested too deeply") from None
    except Exception as error:  # it trusts its schema, so whatever is missing is raised as it comes
        raise _unusable(f"{type(error).__name__}: {str(error)[:200]}") from error
    if len(grammar) > _MAX_GRAMMAR_CHARS:
        raise _unusable("its grammar is too long")
    return grammar


def _converted(schema: dict[str, Any]) -> str:
    from llama_cpp.llama_grammar import SchemaConverter

    schema = _with_plain_root(schema)
    converter = SchemaConverter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    visit_pattern = converter._visit_pattern
    # Its own leaves backslashes as they are, so that a quote in a constant would end the literal.
    converter._format_literal = _literal
    converter._visit_pattern = lambda pattern, name: visit_pattern(_spelled_out(pattern), name)
    converter.visit(converter.resolve_refs(schema, "stdin"), "")
    grammar: str = converter.format_grammar()
    return grammar


def _with_plain_root(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with what the root refers to in its place: the converter looks no further there."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    target: Any = schema
    for step in reference.split("/")[1:]:
        target = target[step]
    return {**{key: value for key, value in schema.items() if key != "$ref"}, **target}


def _literal(text: str) -> str:
    """JSON as a literal of GBNF, its letters as they are."""
    text = json.dumps(json.loads(text), ensure_ascii=False)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _spelled_out(pattern: str) -> str:
    """A regular expression without the short words for digits, blanks and word characters."""
    spelled, is_in_class = "", False
    for lexeme in re.findall(r"\\.|.", pattern, re.DOTALL):
        is_in_class = (is_in_class or lexeme == "[") and lexeme != "]"
        word = _CLASSES.get(lexeme)
        spelled += lexeme if word is None else word if is_in_class else f"[{word}]"
    return spelled


def _check(schema: object) -> None:
    """Without recursion, since it looks for what is too deep."""
    if not isinstance(schema, dict):
        raise _unusable("it is not an object")
    todo: list[tuple[object, int]] = [(schema, 0)]
    n_values = 0
    while todo:
        value, depth = todo.pop()
        n_values += 1
        if depth > _MAX_DEPTH or n_values > _MAX_VALUES:
            raise _unusable(f"it has more than {_MAX_DEPTH} levels or {_MAX_VALUES:,} values")
        if isinstance(value, dict):
            _check_object(value)
            todo += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            todo += [(each, depth + 1) for each in value]


def _check_object(value: dict[str, object]) -> None:
    if len(value) > _MAX_PROPERTIES or any(len(name) > _MAX_NAME_CHARS for name in value):
        raise _unusable(
            f"an object has more than {_MAX_PROPERTIES} properties, or a name of more than "
            f"{_MAX_NAME_CHARS} characters"
        )
    for key in _COUNTS:
        count = value.get(key, 0)
        if isinstance(count, float) or (isinstance(count, int) and not 0 <= count <= _MAX_COUNT):
            raise _unusable(f"{key} is {str(count)[:20]}, and it may be 0 to {_MAX_COUNT}")
    pattern = value.get("pattern", "")
    if isinstance(pattern, str):
        counts = re.findall(r"\d{4,}", pattern)
        if len(pattern) > _MAX_PATTERN_CHARS or any(int(c[:9]) > _MAX_COUNT for c in counts):
            raise _unusable("a pattern is too long, or repeats too often")
    reference = value.get("$ref", "")
    if isinstance(reference, str) and reference and not reference.startswith("#/"):
        raise _unusable(f"it refers to {reference[:80]}, which is not inside it")


def _unusable(why: str) -> Unusable:
    return Unusable(f"The JSON Schema cannot be used: {why}. Simplify it.")
