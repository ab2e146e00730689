"""Reads every YAML file (configuration, arm preset, task, metadata of a bag), and says in which line what is wrong.

PyYAML's `safe_load` takes the last of two equal keys without a word, follows aliases for as long as memory lasts, and
makes dates, octal numbers and truth values of what people mean as texts. Here a file is what it looks like:

- Keys are texts, as they stand there (`on`, `no`, `2024`); none may stand twice in one mapping.
- Numbers, truth values and texts are those of YAML 1.2 (`1e-3` is a number, `12:30` and `2024-01-01` are texts);
  `yes`, `no`, `on` and `off` are truth values, too, as ROS 2 has them.
- One document, encoded as UTF-8 (or UTF-16 or -32 with a byte order mark), of limited size, depth and expansion.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

LARGEST = 4 * 2**20
"""Largest file that is read [bytes]."""
DEEPEST = 50
"""Deepest nesting of lists and mappings."""
MOST = 50_000
"""Most values of a file, each counted as often as aliases repeat it."""

Place = tuple[str | int, ...]
"""Where a value stands in a file: the keys of mappings and indices of lists that lead to it."""

_PLAIN = "?"
"""Tag of what has none in the file."""
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where it is installed, is ten times as fast


class _Loader(_SAFE):  # type: ignore[misc]
    """PyYAML's parser, without its own ideas of what a plain scalar means."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}
    DEFAULT_SCALAR_TAG = _PLAIN


_ENCODINGS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {f"{sign}.{word}": float(sign + word) for sign in ("", "-", "+") for word in ("inf", "Inf", "INF")} | {
    f".{word}": math.nan for word in ("nan", "NaN", "NAN")
}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufeff\uff00-\ufffd\U00010000-\U0010ffff]")


class YamlError(ValueError):
    """A YAML file that cannot be used; the text names it, the line, what was found and what would be right."""


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and where.

    Attributes:
        named: What to call the file.
        value: Its content, of mappings, lists, texts, numbers, truth values and None.
    """

    named: str
    value: Any
    _places: Mapping[Place, tuple[int, str | None]] = field(repr=False)

    def line(self, path: Place) -> int:
        """Return the line in which a value stands, or what leads to it as far as it is there; from 1."""
        while path and path not in self._places:
            path = path[:-1]
        return self._places[path][0]

    def written(self, path: Place) -> str | None:
        """Return a scalar as it is written in the file; None for mappings and lists."""
        return self._places[path][1]

    def error(self, path: Place, wrong: str) -> YamlError:
        """Return the error that something is wrong at a place."""
        return YamlError(f"{self.named}: line {self.line(path)}: {wrong}")


def read_yaml(file: Path, named: str, *, typed: bool = True, most: int = MOST) -> Document:
    """Read a YAML file.

    Args:
        file: The file.
        named: What to call it, with its path.
        typed: Whether scalars without quotes are numbers and truth values where they look like them; otherwise all are
            texts, as they stand there.
        most: Most values of it, each counted as often as aliases repeat it.

    Raises:
        YamlError: If it cannot be read, or is no YAML that can be relied on.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # a name with a NUL
        raise YamlError(f"{named}: {getattr(error, 'strerror', None) or error}") from None
    return parse_yaml(content, named, typed=typed, most=most)


def parse_yaml(content: bytes | str, named: str, *, typed: bool = True, most: int = MOST) -> Document:
    """Return what a YAML text says; the arguments are those of `read_yaml`.

    Raises:
        YamlError: If it is no YAML that can be relied on.
    """
    if len(content) > LARGEST:
        raise YamlError(f"{named}: has more than {LARGEST >> 20} MiB: is it a YAML file?")
    text = content if isinstance(content, str) else _decoded(content, named)
    if found := _FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise YamlError(f"{named}: line {line}: the character {found.group()!r} is not for text files: is it binary?")
    try:
        _check_size(text, named, most)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, named) from None
    except yaml.YAMLError as error:
        raise YamlError(f"{named}: is no YAML: {' '.join(str(error).split())}") from None
    builder = _Builder(named, typed, most)
    value = None if root is None else builder.build(root, ())
    return Document(named, value, builder.places or {(): (1, None)})


def short(text: str, length: int = 60) -> str:
    """Return the text in one line, or its beginning where it is longer than an error should be."""
    shown = text if len(text) <= length else text[:length] + "..."
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in shown)


def _decoded(content: bytes, named: str) -> str:
    encoding = next((name for mark, name in _ENCODINGS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        shown = content[error.start : error.start + 1].hex()
        raise YamlError(
            f"{named}: line {line}: the byte 0x{shown} is not {encoding.removesuffix('-sig').upper()}: save the file "
            "as UTF-8, the usual encoding"
        ) from None


def _check_size(text: str, named: str, most: int) -> None:
    """Refuse what is nested too deep, or has too much in it, for those who walk through it, PyYAML among them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST or count > 2 * most:
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            raise YamlError(f"{named}: line {line}: {_TOO_DEEP if depth > DEEPEST else _too_much(most)}")


_TOO_DEEP = f"more than {DEEPEST} lists or mappings in one another"


def _too_much(most: int) -> str:
    return f"more than {most} values, with what aliases repeat"


def _syntax_error(error: yaml.MarkedYAMLError, text: str, named: str) -> YamlError:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else 1
    lines = text.splitlines()
    for number in (line, line + 1):
        if number <= len(lines) and re.match(r" *\t", lines[number - 1]):
            return YamlError(f"{named}: line {number}: begins with a tab: YAML indents with blanks only")
    if "another document" in str(error.problem):
        return YamlError(f"{named}: line {line}: a second document begins (---): one file, one document")
    context = f" {error.context}" if error.context else ""
    shown = f", at {short(lines[line - 1].strip())!r}" if line <= len(lines) and lines[line - 1].strip() else ""
    return YamlError(f"{named}: line {line}: is no YAML{shown}:{context} {short(str(error.problem))}")


class _Builder:
    """Makes values of PyYAML's nodes, and notes where each stands."""

    def __init__(self, named: str, typed: bool, most: int) -> None:
        self.places: dict[Place, tuple[int, str | None]] = {}
        self._named, self._typed, self._most = named, typed, most
        self._count = 0

    def build(self, node: yaml.Node, path: Place) -> Any:
        """Return the value of a node that stands at a path."""
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > self._most:
            raise self._error(node, _too_much(self._most))
        if len(path) > DEEPEST:
            raise self._error(node, _TOO_DEEP + ", or an alias that contains itself")
        if isinstance(node, yaml.ScalarNode):
            self.places[path] = (line, node.value)
            return self._scalar(node)
        self.places[path] = (line, None)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq")
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        self._check_tag(node, "map")
        assert isinstance(node, yaml.MappingNode)  # there is no other kind
        return self._mapping(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        here = self.places[path]
        merged = self._merged(node, path)
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a list or mapping stands where a key must be: a key is a text")
            name: str = key.value
            if _is_merge(key):
                continue
            if not name:
                raise self._error(key, "a key is empty")
            if name in own:
                twice = ".".join(str(part) for part in (*path, name))
                raise self._error(key, f"{short(twice)} is there twice (first in line {lines[name]}): remove one")
            lines[name] = key.start_mark.line + 1
            own[name] = self.build(item, (*path, name))
            self.places[(*path, name)] = (lines[name], self.places[(*path, name)][1])
        self.places[path] = here
        return merged | own

    def _merged(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        """Return what a mapping takes from others (`<<: *NAME`); of several the first one counts."""
        merged: dict[str, Any] = {}
        for key, item in node.value:
            if _is_merge(key):
                for source in item.value[::-1] if isinstance(item, yaml.SequenceNode) else [item]:
                    if not isinstance(source, yaml.MappingNode):
                        raise self._error(source, "<< takes what another mapping says: name it (<<: *NAME)")
                    merged |= self.build(source, path)
        return merged

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag == _TAG + "str" or (node.tag == _PLAIN and node.style):
            return text
        if node.tag != _PLAIN and node.tag.removeprefix(_TAG) not in ("int", "float", "bool", "null"):
            raise self._error(node, f"the tag {short(node.tag)} is not known here: leave it away")
        try:
            return _plain(text) if self._typed else text
        except ValueError:
            raise self._error(node, f"the number {short(text, 20)} has too many digits") from None

    def _check_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != _TAG + expected:
            raise self._error(node, f"the tag {short(node.tag)} is not known here: leave it away")

    def _error(self, node: yaml.Node, wrong: str) -> YamlError:
        return YamlError(f"{self._named}: line {node.start_mark.line + 1}: {wrong}")


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and not key.style


def _plain(text: str) -> Any:
    """Return what a scalar without quotes means.

    Raises:
        ValueError: If it is a number of more digits than Python reads.
    """
    if text in _NOTHING:
        return None
    if text[0] in "+-.0123456789":
        if _INTEGER.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        if text in _SPECIAL:
            return _SPECIAL[text]
    if text in (text.lower(), text.capitalize(), text.upper()):
        return _TRUTH.get(text.lower(), text)
    return text
