"""JSON Schemas become grammars soon, or a sentence; no schema takes long, or the memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama.constraint import Constraint
from tabby_lsp.engines.llama.schema import grammar_of_schema

TEXT: dict[str, Any] = {"type": "string"}


def is_of(schema: object, text: str) -> bool:
    constraint = Constraint(grammar_of_schema(json.dumps(schema)))
    if not constraint.allows(text.encode()):
        return False
    constraint.take(text.encode())
    return constraint.may_end


@pytest.mark.parametrize(
    ("schema", "text", "other"),
    [
        ({}, '{"a": [1, null]}', "[1]"),
        ({"type": "object"}, "{}", "3"),
        ({"type": ["integer", "null"]}, "-12", '"x"'),
        ({"enum": ["é", 2]}, '"é"', "3"),
        ({"const": 'a"b\\c\n'}, '"a\\"b\\\\c\\n"', '"a"'),
        ({"properties": {'k"\\é': TEXT}}, '{"k\\"\\\\é": ""}', '{"k": ""}'),
        ({"type": "string", "pattern": "^[\\w-]+@\\d$"}, '"a_-9@1"', '"a b@1"'),
        ({"const": {"a": 1}}, '{"a": 1}', '{"a": 2}'),
        ({"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2}, '["a"]', "[]"),
        ({"prefixItems": [TEXT, {"type": "number"}]}, '["a",1.5]', '["a"]'),
        ({"type": "string", "minLength": 2, "maxLength": 3}, '"abc"', '"abcd"'),
        ({"type": "string", "pattern": "^[a-z]+-\\d{2}$"}, '"ab-12"', '"ab-1"'),
        ({"type": "string", "format": "date"}, '"2026-11-21"', '"2026"'),
        ({"anyOf": [TEXT, {"type": "boolean"}]}, "true", "1"),
        ({"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a"]},
         '{"a": "1", "b": "2"}', '{"b": "2"}'),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "object", "properties": {
            "next": {"$ref": "#/$defs/x"}}, "required": []}}}, '{"next": {"next": {}}}', "[]"),
    ],
)  # fmt: skip
def test_a_schema_says_which_json(schema: object, text: str, other: str) -> None:
    assert is_of(schema, text)
    assert not is_of(schema, other)


def deep(n_levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for _ in range(n_levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("[" * 30_000, "nested too deeply"),
        ('{"a":' * 5000, "nested too deeply"),
        ("{", "JSONDecodeError"),
        ("", "JSONDecodeError"),
        ("3", "not an object"),
        ("true", "not an object"),
        ('{"x": "' + "x" * (1 << 16) + '"}', "longer than"),
        (json.dumps({"type": "nothing"}), "Unrecognized schema"),
        (json.dumps({"type": "array", "items": TEXT, "minItems": 10**9}), "minItems"),
        (json.dumps({"type": "string", "maxLength": 10**9}), "maxLength"),
        ('{"type": "string", "maxLength": 1e999}', "maxLength"),
        ('{"type": "string", "maxLength": "5"}', "TypeError"),
        (json.dumps({"type": "string", "pattern": "^a{1000000}$"}), "pattern"),
        (json.dumps({"type": "string", "pattern": "^" + "a" * 2000 + "$"}), "pattern"),
        (json.dumps({"type": "string", "pattern": "^[a$"}), "AssertionError"),
        (json.dumps({"$ref": "https://example.com/schema"}), "refers to https://"),
        (json.dumps({"$ref": "file:///etc/passwd"}), "refers to file:"),
        (json.dumps({"$ref": "#/nowhere"}), "KeyError"),
        (json.dumps({"properties": {"a": {"$ref": "#/nowhere"}}}), "AssertionError"),
        (json.dumps({"type": "string", "pattern": "^\\b$"}), "stands for nothing"),
        (json.dumps(deep(40)), "levels"),
        (json.dumps({"enum": list(range(5000))}), "values"),
        (json.dumps({"properties": {f"p{n}": TEXT for n in range(201)}}), "properties"),
        (json.dumps({"properties": {"x" * 200: TEXT}}), "a name of more"),
    ],
)
def test_what_cannot_be_turned_is_a_sentence(schema: str, why: str) -> None:
    with pytest.raises(EngineError, match=r"The (JSON Schema|grammar) cannot be used") as caught:
        Constraint(grammar_of_schema(schema))
    assert why in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {f"p{n}": TEXT for n in range(200)}},
        {"type": "array", "items": {"type": "array", "items": TEXT, "maxItems": 999},
         "maxItems": 999},
        {"type": "string", "pattern": "^(a{1000}){1000}$"},
        {"type": "string", "pattern": "^" + "(" * 400 + "a" + ")" * 400 + "$"},
        {"type": "string", "minLength": 1000, "maxLength": 1000},
        deep(30),
        {"$ref": "#/a", "a": {"$ref": "#/a"}},
    ],
)  # fmt: skip
def test_the_largest_schemas_are_turned(schema: object) -> None:
    """Or refused; in no case do they take long, which the test's own limit sees."""
    try:
        Constraint(grammar_of_schema(json.dumps(schema))).allows(b'"a')
    except EngineError as error:
        assert len(str(error)) < 400
