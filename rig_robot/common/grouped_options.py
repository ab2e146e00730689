"""Shows the options of a command in groups in its help: a flat dataclass is parsed as one dataclass for each group."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import tyro

from rig_robot.common.field_texts import field_texts

Groups = Mapping[str, tuple[str, Sequence[str]]]
"""By a group's name: a sentence about it, and the options in it."""


class GroupedOptions:
    """The options of a flat dataclass, in groups.

    Args:
        kind: The dataclass; the text below each field is its help.
        groups: Its fields, each in one group.
        default: Values that stand in the place of the dataclass's own defaults.
    """

    def __init__(self, kind: type, groups: Groups, default: Any = None) -> None:
        self._kind = kind
        fields = {name: (name, hint, value) for name, hint, value in _fields(kind, default)}
        parts: dict[str, Any] = {}
        for name, (about, members) in groups.items():
            parts[name] = dataclasses.make_dataclass(name, [fields[member] for member in members], frozen=True)
            parts[name].__doc__ = about
        whole: Any = dataclasses.make_dataclass("Options", list(parts.items()), frozen=True)
        self._default = whole(**{name: part() for name, part in parts.items()})
        self._whole: Any = Annotated[whole, tyro.conf.OmitArgPrefixes]

    def parse(self, prog: str, arguments: Sequence[str]) -> Any:
        """Return the options that arguments give; where they ask for help or are wrong, print that and exit.

        Raises:
            ValueError: If the dataclass refuses their values.
        """
        found = tyro.cli(self._whole, prog=prog, description=self._kind.__doc__, args=arguments, default=self._default)
        return self._kind(**{name: value for part in vars(found).values() for name, value in vars(part).items()})


def one_line_helps(kind: type) -> type:
    """Return a dataclass with the same options, whose helps have no line breaks: shell completion cannot show them."""
    made = dataclasses.make_dataclass(kind.__name__, _fields(kind), frozen=True)
    made.__doc__ = kind.__doc__
    return made


def _fields(kind: type, default: Any = None) -> list[tuple[str, Any, Any]]:
    """Return name, annotated type and default of each field; `tyro.MISSING` where a value must be given."""
    hints, texts = typing.get_type_hints(kind, include_extras=True), field_texts(kind)
    made = []
    for field in dataclasses.fields(kind):
        given = field.default if default is None else getattr(default, field.name)
        value = tyro.MISSING if given is dataclasses.MISSING else given
        help_of = tyro.conf.arg(help=texts[field.name]) if field.name in texts else tyro.conf.arg()
        made.append((field.name, Annotated[hints[field.name], help_of], value))
    return made
