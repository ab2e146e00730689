"""Derives the arguments of the launch files from the options of `rig`: their names, defaults, texts, types and choices.

It needs no `launch`; ros2_launch.py hands the arguments to it.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rig_robot.bringup.node_spec import BringupError
from rig_robot.common.field_texts import field_texts

Options = TypeVar("Options")

TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
"""What a truth value may be written as; case does not count."""


@dataclass(frozen=True)
class Argument:
    """An argument of a launch file.

    Attributes:
        name: Its name.
        text: What it is, for `--show-args`.
        default: Its value where it is not given; None: it must be given.
        choices: The values that it may have; none: any.
        truth: Whether it is a truth value, an option without a value of `rig` (`--practice`, `--no-train`).
    """

    name: str
    text: str
    default: str | None = ""
    choices: tuple[str, ...] = ()
    truth: bool = False


def arguments(kind: type, **defaults: str) -> dict[str, Argument]:
    """Return an argument for each field of an options' dataclass, by name.

    Args:
        kind: The dataclass; the text below each field says what it is.
        defaults: Values that stand in the place of the dataclass's own defaults.
    """
    hints, texts = typing.get_type_hints(kind), field_texts(kind)
    made = []
    for field in dataclasses.fields(kind):
        default = None if field.default is dataclasses.MISSING else _written(field.default)
        hint = hints[field.name]
        choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
        default = defaults.get(field.name, default)
        made.append(Argument(field.name, texts[field.name], default, choices, truth=hint is bool))
    return {
        argument.name: dataclasses.replace(argument, text=in_words_of_launch(argument.text, made)) for argument in made
    }


def read(kind: type[Options], given: Mapping[str, str], **further: Any) -> Options:
    """Return options from the texts that a launch file was given for them.

    Args:
        kind: The options' dataclass.
        given: For each of its fields that the launch file has an argument for, the text.
        further: Fields that the launch file decides about itself.

    Raises:
        BringupError: If a text is no value of its field; the error names the argument and what would be right.
    """
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(name, hints[name], text) for name, text in given.items() if name in hints}, **further)


def in_words_of_launch(text: str, known: Iterable[Argument]) -> str:
    """Return a text about options of `rig` in the words of `ros2 launch`: `checkpoint:=` instead of `--checkpoint`.

    Whole commands, such as `rig train --task push`, stay.
    """
    by_name = {argument.name: argument for argument in known}

    def other(found: re.Match[str]) -> str:
        argument = by_name.get((found[2] or "").replace("-", "_"))
        if argument is None:
            return found[0]
        return f"{argument.name}:=" + ("" if not argument.truth else "false" if found[1] else "true")

    return re.sub(r"`rig [^`]*`|--(no-)?([a-z][a-z-]*)", other, text)


def _written(value: Any) -> str:
    """Return a default as one would write it after `:=`; None as nothing."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(name: str, kind: Any, text: str) -> Any:
    """Return what a text means to a field of a type; an empty one means None where there may be none."""
    if isinstance(kind, types.UnionType):
        return _value(name, typing.get_args(kind)[0], text) if text else None
    wrong = f"{name}:={text}: {name} must be"
    if typing.get_origin(kind) is typing.Literal:
        if text not in typing.get_args(kind):
            raise BringupError(f"{wrong} one of {', '.join(typing.get_args(kind))}")
        return text
    if kind is bool:
        if text.lower() not in TRUTH:
            raise BringupError(f"{wrong} true or false")
        return TRUTH[text.lower()]
    if kind is int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            raise BringupError(f"{wrong} a whole number")
        return int(text)
    return Path(text) if kind is Path else text
