"""Where to complete at all, and where a block is worth asking for."""

from __future__ import annotations

import pytest

from tabby_lsp.completion.trigger import refusal, scope
from tests.completion.drawn import cursor_in


@pytest.mark.parametrize(
    "drawing",
    [
        "x = ║\n",
        "x = foo(║)\n",
        'print("║")\n',
        "if x║:\n",
        "x = foo║  \n",
        "a = [║],\n",
        "def f(║):\n",
        "x = ║  # the count\n",
        "import os\n\n║",
        "def f():\n    ║\n",
        "║\nx = 1\n",
    ],
)
def test_automatic_requests_are_answered_where_the_rest_leaves_the_answer_open(
    drawing: str,
) -> None:
    assert refusal(cursor_in(drawing), automatic=True) is None


@pytest.mark.parametrize(
    ("drawing", "reason"),
    [
        ("fo║o(x)\n", "inside-word"),
        ("x = 1║0\n", "inside-word"),
        ("na║ïve = 1\n", "inside-word"),
        ("self.║name = 1\n", "code-after-cursor"),
        ("foo(a, ║b)\n", "code-after-cursor"),
        ("x = a ║// b\n", "code-after-cursor"),
        ("║x = 1\n", "code-after-cursor"),
        ("║", "blank-document"),
        ("\n  ║\n\n", "blank-document"),
    ],
)
def test_automatic_requests_are_refused_with_a_word(drawing: str, reason: str) -> None:
    assert refusal(cursor_in(drawing), automatic=True) == reason


@pytest.mark.parametrize("drawing", ["fo║o(x)\n", "foo(a, ║b)\n", "║", "║x = 1\n"])
def test_who_asks_is_never_refused(drawing: str) -> None:
    assert refusal(cursor_in(drawing), automatic=False) is None


@pytest.mark.parametrize(
    ("drawing", "language"),
    [
        ("def f():║\n", "python"),
        ("def f():║", "python"),
        ("def f():\n    ║\n", "python"),
        ("def f():\n║\n", "python"),
        ("class A:\n    def f(self):  # why\n        ║\n\n    def g(self):\n", "python"),
        ("def f(\n    a,\n) -> int:\n    ║\n", "python"),
        ("if a:\n\tif b:\n\t\t║\n\telse:\n", "python"),
        ("x = [║]\n", "python"),
        ("x = foo(\n    ║\n)\n", "python"),
        ("if a:\r\n    ║\r\nelse:\r\n", "python"),
        ("if (a) {║}\n", "javascript"),
        ("if (a) {\n  ║\n}\n", "javascript"),
        ("func f() {\n\t║\n}\n", "go"),
        ('def f():\n    """Do it."""║\n', "python"),
        ('def f():\n    """Do it."""\n    ║', "python"),
        ('class A:\n  async def f():\n    """Do it.\n\n    Now.\n    """\n    ║', "python"),
        ("def f():\r\n    r'''Do it.'''║\r\n", "python"),
    ],
)
def test_a_block_is_asked_for_where_one_is_opened_and_empty(drawing: str, language: str) -> None:
    assert scope(cursor_in(drawing, language)) == "block"


@pytest.mark.parametrize(
    ("drawing", "language"),
    [
        ("x = ║\n", "python"),
        ("def f():║\n    return 1\n", "python"),
        ("def f():\n    ║\n    return 1\n", "python"),
        ("def f():\n    x = 1\n    ║\n", "python"),
        ("def f():\n║    return 1\n", "python"),
        ("if a:\n║\n    b()\n", "python"),
        ("    if a:\n    ║\n", "python"),
        ("def f(║a):\n", "python"),
        ("x[1:║]\n", "python"),
        ("# as follows:║\n", "python"),
        ("foo(║\n    a,\n)\n", "python"),
        ("if (a) {║\n  b();\n}\n", "javascript"),
        ("import os\n║\n", "python"),
        ("║", "python"),
        ('def f():\n    """Do it."""║\n    return 1\n', "python"),
        ('def f():\n    """Do it."""\n\n\n║', "python"),
        ('class A:\n    def f(self):\n        """Do it."""\n\n    ║', "python"),
        ('def f():\n    """Do it."""\n    x = """a"""║', "python"),
    ],
)
def test_a_line_is_asked_for_in_any_doubt(drawing: str, language: str) -> None:
    assert scope(cursor_in(drawing, language)) == "line"
