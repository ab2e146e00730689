"""Reads the sentences below the fields of a dataclass, which are the help of its options."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise


def field_texts(kind: type) -> dict[str, str]:
    """Return the text below each field of a class, in one line."""
    [definition] = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for field, below in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            texts[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return texts
