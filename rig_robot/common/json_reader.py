"""Reads JSON that strangers or editors may have changed."""

from __future__ import annotations

import json
from typing import Any


def read_json(content: str | bytes) -> Any:
    """Return the content of a JSON text.

    Raises:
        ValueError: If it is not JSON, has a key twice, or text that could be neither printed nor a file's name.
    """
    try:
        data = json.loads(content, object_pairs_hook=_unique)
        json.dumps(data, ensure_ascii=False).encode()  # fails on half a surrogate pair
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; json.loads would let the last of equal keys count, in silence."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found
