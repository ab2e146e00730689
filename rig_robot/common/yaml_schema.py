"""Checks what a YAML file says against what may stand there, and makes the numbers the kind that is wanted.

An error names the file, the line, the key, its value and what would be right. Whole numbers are taken where numbers are
wanted, also in lists that mix both, and 30.0 where a whole one is.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rig_robot.common.yaml_reader import Document, Place, YamlError, short

_INT64 = 2**63


@dataclass(frozen=True)
class Key:
    """What may stand under a key.

    Attributes:
        kind: The type of the value, or of a list's values: `float`, `int`, `bool` or `str`.
        many: Whether it is a list.
        low: Smallest number.
        high: Largest number.
        positive: Whether numbers must be greater than 0.
        choices: The texts, where only some may stand there.
        count: How many values a list has; None: one or more.
        unset: A list that may stand there, too, and means that nothing is given; empty: none may.
    """

    kind: type
    many: bool = False
    low: float | None = None
    high: float | None = None
    positive: bool = False
    choices: tuple[str, ...] = ()
    count: int | None = None
    unset: tuple[Any, ...] = ()

    def wanted(self) -> str:
        """Return in words what may stand there."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        single = {float: "number", int: "whole number", bool: "truth value (true or false)", str: "text"}[self.kind]
        words = f"a {single}"
        if self.many:
            plural = f"{single}s" if self.kind is not bool else "truth values"
            words = f"a list of {self.count} {plural}" if self.count else f"a list of {plural}, one or more"
        if self.low is not None and self.high is not None:
            words += f" from {self.low:g} to {self.high:g}"
        return words + (" greater than 0" if self.positive else "")


def number(low: float | None = None, high: float | None = None, positive: bool = False) -> Key:
    """Return the key of a number."""
    return Key(float, low=low, high=high, positive=positive)


def whole(low: float | None = None, high: float | None = None) -> Key:
    """Return the key of a whole number."""
    return Key(int, low=low, high=high)


def truth() -> Key:
    """Return the key of a truth value."""
    return Key(bool)


def text(choices: Iterable[str] = ()) -> Key:
    """Return the key of a text, or of one of some texts."""
    return Key(str, choices=tuple(choices))


def numbers(count: int | None = None, positive: bool = False) -> Key:
    """Return the key of a list of numbers."""
    return Key(float, many=True, count=count, positive=positive)


def texts() -> Key:
    """Return the key of a list of texts."""
    return Key(str, many=True)


def check(document: Document, path: Place, value: Any, key: Key) -> Any:
    """Return a value as the kind that is wanted.

    Args:
        document: The file.
        path: Where the value stands in it.
        value: The value.
        key: What may stand there.

    Raises:
        YamlError: If it is something else.
    """
    if key.unset and isinstance(value, list) and tuple(value) == key.unset:
        return list(key.unset)
    if not key.many:
        return _check_one(document, path, value, key, key)
    if not isinstance(value, list) or not value or (key.count and len(value) != key.count):
        raise wrong(document, path, value, key.wanted())
    single = dataclasses.replace(key, many=False, count=None)
    return [_check_one(document, (*path, index), item, single, key) for index, item in enumerate(value)]


def _check_one(document: Document, path: Place, value: Any, key: Key, whole_key: Key) -> Any:
    wanted = key.wanted() if not whole_key.many else f"{key.wanted()}, as in {whole_key.wanted()}"
    if key.kind is str:
        if not isinstance(value, str):
            written = document.written(path)
            quotes = f'; put quotes around a text: "{short(written)}"' if written and not key.choices else ""
            raise wrong(document, path, value, key.wanted() + quotes)
        if key.choices and value not in key.choices:
            raise wrong(document, path, value, key.wanted() + did_you_mean(value, key.choices))
        return value
    if key.kind is bool:
        if not isinstance(value, bool):
            raise wrong(document, path, value, wanted)
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise wrong(document, path, value, wanted)
    if key.kind is int and (value != int(value) or not -_INT64 <= value < _INT64):
        raise wrong(document, path, value, wanted)
    if (key.positive and not value > 0) or not _or(key.low, -math.inf) <= value <= _or(key.high, math.inf):
        raise wrong(document, path, value, wanted)
    return key.kind(value)


def _or(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def wrong(document: Document, path: Place, value: Any, wanted: str) -> YamlError:
    """Return the error that a value is not what may stand there."""
    return document.error(path, f"{name(path)} {_shown(document, path, value)}: must be {wanted}")


def name(path: Place) -> str:
    """Return a place in words: `arm.tool_offset[1]`."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{short(part)}" for part in path)
    return words.removeprefix(".") or "the file"


def _shown(document: Document, path: Place, value: Any) -> str:
    if value is None:
        return "has no value" if path else "is empty"
    if isinstance(value, list):
        return f"is a list of {len(value)}" if value else "is an empty list"
    if isinstance(value, dict):
        return "is a mapping"
    written = short(document.written(path) or "")
    if isinstance(value, str):
        return f"is {written!r}, a text"
    return f"is {written}, {'a truth value' if isinstance(value, bool) else 'a number'}"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return a question for the nearest of the known names, with a comma before it; empty where none is near."""
    near = difflib.get_close_matches(given[:100], list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def mapping(document: Document, path: Place, value: Any) -> dict[str, Any]:
    """Return a mapping; of a key without value an empty one.

    Raises:
        YamlError: If it is something else, or the file is empty.
    """
    if value is None and path:
        return {}
    if not isinstance(value, dict):
        raise wrong(document, path, value, "a mapping (KEY: VALUE, a line each)")
    return value


def unknown(document: Document, path: Place, key: str, known: Sequence[str], what: str) -> YamlError:
    """Return the error that a key is not one of those that are known."""
    hint = did_you_mean(key, known) or f"; these are: {', '.join(known)}"
    return document.error((*path, key), f"{name((*path, key))} is no {what}{hint}")


def check_keys(document: Document, path: Place, value: Any, keys: Mapping[str, Key], what: str) -> dict[str, Any]:
    """Return a mapping with its values as the kinds that are wanted.

    Args:
        document: The file.
        path: Where the mapping stands in it.
        value: The mapping.
        keys: What may stand in it.
        what: What its keys are, for the error of an unknown one.

    Raises:
        YamlError: If there is another key, or a value is something else.
    """
    checked = {}
    for key, item in mapping(document, path, value).items():
        if key not in keys:
            raise unknown(document, path, key, sorted(keys), what)
        checked[key] = check(document, (*path, key), item, keys[key])
    return checked


def structure(document: Document, path: Place, value: Any, kind: Any) -> Any:
    """Return a value as a dataclass of numbers, texts, tuples, mappings and other dataclasses, by its type hints.

    Raises:
        YamlError: If a field is missing, unknown or of another type.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        given, hints = mapping(document, path, value), typing.get_type_hints(kind)
        for key in given:
            if key not in hints:
                raise unknown(document, path, key, list(hints), "entry of it")
        fields = dataclasses.fields(kind)
        needed = [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]
        if missing := [key for key in needed if key not in given]:
            raise document.error(path, f"{name(path)} lacks {', '.join(missing)}")
        return kind(**{key: structure(document, (*path, key), item, hints[key]) for key, item in given.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        open_ended = arguments[-1] is Ellipsis
        one = Key(arguments[0], many=True, count=None if open_ended else len(arguments))
        return tuple(check(document, path, value, one))
    if origin is dict:
        given = mapping(document, path, value)
        return {key: check(document, (*path, key), item, Key(arguments[1])) for key, item in given.items()}
    assert not isinstance(kind, types.UnionType), kind
    return check(document, path, value, Key(kind))
