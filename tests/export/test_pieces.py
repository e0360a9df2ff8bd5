import ast

import pytest

from hpo.export.imports import Import, import_block
from hpo.export.pieces import needed, read, used

SOURCE = '''# Copyright: mine.
"""What it is."""

import math  # for the root
import torch.nn as layers
# what is drawn at random
from random import choice, random as draw

LIMIT: int = 3

# Not wanted,
# for two reasons.
extra = 1


@staticmethod
def root(value):
    import json

    return math.sqrt(value)
'''


def test_imports_docstring_and_body_are_taken_apart():
    piece = read(SOURCE, lambda node: isinstance(node, ast.Assign))
    assert piece.imports == {
        Import("math", "", "math"),
        Import("torch.nn", "", "layers"),
        Import("random", "choice", "choice"),
        Import("random", "random", "draw"),
    }
    head, _, rest = piece.body.partition("LIMIT: int = 3")
    assert head == "# Copyright: mine.\n# what is drawn at random\n"
    assert rest.startswith("\n\n@staticmethod\ndef root(value):\n    import json\n")
    assert piece.names == {"LIMIT", "root"}


def test_a_decorated_function_is_left_out_whole():
    assert read(SOURCE, lambda node: isinstance(node, ast.FunctionDef)).body.endswith("extra = 1")


def test_only_leading_imports_move():
    piece = read("import os\n\nos.environ['A'] = 'b'\nimport torch\n")
    assert piece.body == "os.environ['A'] = 'b'\nimport torch"
    assert piece.names == {"torch"}


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("import os; os.nice(0)\nimport torch", "os.nice(0)\nimport torch"),
        ('"""Größe."""; ö = "ü;";x = ö  # a; b', 'ö = "ü;"'),
        ("import os; \\\n  y = 1;\nx = 2; z = 3;", "y = 1;\nz = 3;"),
    ],
)
def test_statements_of_one_line_are_taken_apart(source, body):
    assert read(source, lambda node: "x" in ast.unparse(node)).body == body


def test_lines_end_where_python_ends_them():
    source = "import os\n\x0c\nTEXT = 'a\x0cb\x85c\u2028d'  # \x0c \u2029\nx = 1\n\n\ndef go(): ...\n"
    body = "TEXT = 'a\x0cb\x85c\u2028d'  # \x0c \u2029\ndef go(): ..."
    assert read(source, lambda node: "x =" in ast.unparse(node)).body == body


def test_imports_are_printed_in_order_and_once():
    sources = [
        "import torch\nfrom torch import nn, Tensor",
        "import torch, math\nfrom torch import nn as n, Tensor",
    ]
    imports = frozenset().union(*(read(source).imports for source in sources))
    expected = "import math\n\nimport torch\nfrom torch import Tensor, nn, nn as n"
    assert import_block(imports) == expected
    assert import_block(imports | read("from __future__ import annotations").imports) == (
        f"from __future__ import annotations\n\n{expected}"
    )


def test_of_a_star_only_what_is_used_is_imported_and_the_last_import_of_a_name_counts():
    piece = read(
        "from math import *\nfrom cmath import sqrt, exp\nfrom cmath import *\n\nsqrt(pi) + floor(e)"
    )
    assert import_block(piece.imports) == "from cmath import e, exp, pi, sqrt\nfrom math import floor"


def test_unused_imports_are_dropped():
    assert {item.bound for item in used(read(SOURCE)).imports} == {"math"}


@pytest.mark.parametrize(
    ("code", "used_there"),
    [
        ("def go():\n    cut = 1\n    return cut", False),
        ("def go(cut): return [it + cut for it in range(3)]", False),
        ("def go(cut):\n    def inner(): return cut\n    return inner", False),
        ("def go(): return [cut(it) for it in range(3)]", True),
        ("def go(it: cut): return it", True),
        ("def go():\n    it: cut = 1", True),
        ("def go(it=cut): return it", True),
        ("@cut\ndef go(cut): return cut", True),
        ("class Go:\n    cut = cut", True),
        ("class Go:\n    it: cut", True),
    ],
)
def test_an_import_is_used_by_code_whose_own_names_are_not_called_so(code, used_there):
    piece = read(f"from mine import cut\n\n{code}")
    assert bool(used(piece).imports) == used_there


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("def cut(): ...", "def cut(): return x.cut, cut2, cut", "def cut_(): return x.cut, cut2, cut_"),
        ("cut = 1", "def go(cut): return cut", "def go(cut): return cut"),
        ("import torch", "import torch\n\ndef go(): torch.go()", "def go(): torch.go()"),
        ("from mine import nn", "from torch import nn\n\nnn.Linear", "nn_.Linear"),
        ("from mine import load", "def load(): ...", "def load_(): ..."),
        ("cut = cut_ = 1", "@cut\nclass cut: ...", "@cut__\nclass cut__: ..."),
        ("cut = 1", "é = cut = 2\n{'cut': é + cut}  # cut", "é = cut_ = 2\n{'cut': é + cut_}  # cut"),
        ("cut = 1", "cut = f'é cut {cut(cut=cut):>{cut}}'", "cut_ = f'é cut {cut_(cut=cut_):>{cut_}}'"),
        ("cut = 1", "cut = 2\ndef go(cut): return cut", "cut_ = 2\ndef go(cut): return cut"),
        ("cut = 1", "cut = 2\n[cut for cut in x]", "cut_ = 2\n[cut for cut in x]"),
        (
            "cut = 1",
            "cut = 2\ndef go():\n    import cut\n    cut",
            "cut_ = 2\ndef go():\n    import cut\n    cut",
        ),
        (
            "cut = 1",
            "cut = 2\nclass Go:\n    def cut(self): return cut(self.cut)",
            "cut_ = 2\nclass Go:\n    def cut(self): return cut_(self.cut)",
        ),
    ],
)
def test_names_that_mean_something_else_are_kept_apart(theirs, ours, expected):
    assert read(ours).apart_from(read(theirs)).body == expected


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("def go():\n    global cut\n    cut = 1", "cut = 2\ncut", "cut_ = 2\ncut_"),
        ("[cut := it for it in x]", "cut = 2", "cut_ = 2"),
        ("match x:\n    case [cut, *rest]: ...", "cut = rest = 2", "cut_ = rest_ = 2"),
        ("def cut():\n    mine = 1", "mine = 2", "mine = 2"),
    ],
)
def test_names_are_bound_by_functions_and_patterns_too(theirs, ours, expected):
    assert read(ours).apart_from(read(theirs)).body == expected


def test_what_is_built_in_keeps_its_meaning():
    ours = "def go(sum):\n    return sum, max(len(sum), 1), f'{len(sum)} of {max(sum)}'"
    piece = read(ours).apart_from(read("from torch import max, sum\n\nlen = min = 1"))
    assert piece.body == ("def go(sum):\n    return sum, max_(len_(sum), 1), f'{len_(sum)} of {max_(sum)}'")
    assert "from builtins import len as len_, max as max_" in import_block(piece.imports)


def test_a_renamed_import_is_imported_under_its_new_name():
    piece = read("from torch import nn\n\nnn.Linear").apart_from(read("from mine import nn"))
    assert import_block(piece.imports) == "from torch import nn as nn_"


def test_only_needed_definitions_are_kept():
    source = (
        "import math\n\nLIMIT = 3\n\n\nclass Root:\n    size = LIMIT\n\n\n"
        "class Leaf(Root):\n    pass\n\n\ndef other():\n    return Leaf\n"
    )
    piece = needed(source, {"Leaf"})
    assert piece.names == {"LIMIT", "Root", "Leaf"}
    assert "other" not in piece.body


@pytest.mark.parametrize(
    "filling",
    [
        "TABLE[2:] = [0.1]",
        "TABLE += [0.1]",
        "TABLE.append(0.1)",
        "for number in range(3):\n    TABLE.append(number)",
        "if not TABLE:\n    TABLE = [1]",
        "try:\n    from tables import TABLE\nexcept ImportError:\n    pass",
        "def fill():\n    TABLE.append(0.1)\n\n\nfill()",
        "def add(it):\n    TABLE.append(it)\n    return it\n\n\n@add\ndef other(step):\n    return step",
        "stairs.table = TABLE",
    ],
)
def test_what_fills_a_table_is_needed_as_well(filling):
    source = f"TABLE = []\n\n\ndef stairs(step):\n    return TABLE[step]\n\n\n{filling}"
    unwanted = "\n\n\nOTHERS = [print]\nOTHERS.append(2)\n\n\ndef shown():\n    print(TABLE)"
    assert needed(source + unwanted, {"stairs"}).body == source


def test_what_is_not_wanted_needs_nothing():
    source = "def stairs(step):\n    return step\n\n\ndef other(): ...\n\n\nwords = [stairs, other]"
    assert needed(source, {"stairs"}, lambda node: isinstance(node, ast.Assign)).names == {"stairs"}


def test_an_attribute_does_not_count_as_a_use():
    piece = read("from dataclasses import field, replace\n\npath.replace(field)")
    assert {item.bound for item in used(piece).imports} == {"field"}
