"""Reads the text of a robot's description, and refuses what MuJoCo would not name, or not survive.

A description comes from strangers: a driver's topic, a download, a file that xacro has not been run on.
"""

from __future__ import annotations

import codecs
import math
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

LARGEST = 16 * 2**20
"""Largest description that is read [bytes]."""
MOST_BODIES = 2000
"""Most links of a robot; MuJoCo's time to read them grows with their square."""
MOST_COPIES = 1000
"""Most copies that an MJCF's elements `replicate`, `composite` and `flexcomp` may ask for."""
MOST_ELEMENTS = 50_000
"""Most XML elements of a description."""
_COPIES = {"replicate": "count", "composite": "count", "flexcomp": "count"}


class BadDescription(ValueError):
    """A robot description that cannot be used; the text names it, what was found and what would be right."""


def is_text(description: str) -> bool:
    """Return whether this is the text of a description, and not the path of a file."""
    return description.removeprefix("\ufeff").lstrip().startswith("<")


def may_be_path(text: str) -> bool:
    """Return whether a text may be the path of a file."""
    return text.isprintable() and text.strip() != "" and "<" not in text and len(text) <= 1000


def read_text(file: Path) -> str:
    """Return the text of a description's file, whatever editor has saved it."""
    if file.is_dir():
        raise BadDescription(f"robot description {file} is a directory: name the URDF or MJCF file in it")
    if file.exists() and not file.is_file():
        raise BadDescription(f"robot description {file} is no file of text: must be the URDF or MJCF of the robot")
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise FileNotFoundError(f"robot description {file} does not exist") from None
    except OSError as error:
        raise OSError(f"robot description {file} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise BadDescription(f"robot description {file} has more than {LARGEST >> 20} MiB: is it a URDF or MJCF?")
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # a comment of an old editor; names are compared, and differ if they must


@dataclass
class Outline:
    """What a description's elements say that MuJoCo passes over."""

    followers: dict[str, str] = field(default_factory=dict)
    includes: bool = False


class _Scanner:
    """Looks through the elements of a description for what MuJoCo would not name, or not survive."""

    def __init__(self, named: str, folder: Path | None) -> None:
        """folder: of the description's file, from which it includes others; None: it is a text."""
        self.outline = Outline()
        self._named, self._folder = named, folder
        self._included: set[Path] = set()
        self._path: list[str] = []
        self._joint = ""
        self._bodies = self._elements = 0
        self._copies = [1]

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        if not self._path and tag not in ("robot", "mujoco"):
            raise BadDescription(
                f"{self._named} is neither URDF nor MJCF: it begins with <{short(tag)}>, expected <robot> or <mujoco>"
            )
        if tag.startswith("xacro:") or any("${" in value or "$(" in value for value in attributes.values()):
            raise BadDescription(
                f"{self._named} is a xacro that has not been run (it has {_found(tag, attributes)}): run "
                "`xacro FILE > robot.urdf` and name the result"
            )
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise BadDescription(f"{self._named} has more than {MOST_ELEMENTS} XML elements: is it the robot's?")
        self._bodies += tag in ("link", "body")
        if self._bodies > MOST_BODIES:
            raise BadDescription(f"{self._named} has more than {MOST_BODIES} links: leave away what is not the robot")
        self._copies.append(self._copies[-1] * self._count(tag, attributes))
        if tag == "joint":
            self._joint = attributes.get("name", "")
        elif tag == "mimic" and self._path[-1] == "joint":
            self.outline.followers[self._joint] = attributes.get("joint", "another one")
        self._path.append(tag)
        if self._path[0] == "mujoco" and (tag == "include" or self._path[-2:] == ["asset", "model"]):
            self._include(attributes.get("file", ""))

    def scan(self, text: str) -> None:
        """Look through a text, as part of the element that is open."""
        parser = expat.ParserCreate("utf-8")  # without namespaces: old Gazebo files use prefixes that nobody declares
        parser.StartElementHandler, parser.EndElementHandler = self.begin, self.end
        try:
            parser.Parse(text.encode(errors="replace"), True)
        except expat.ExpatError as error:
            raise BadDescription(f"{self._named} is no whole XML: {error}") from None

    def _include(self, name: str) -> None:
        """Look through another file, too: MuJoCo would do what it asks for, however long that takes."""
        self.outline.includes = True
        if self._folder is None:
            raise BadDescription(
                f"{self._named} includes another file, {short(name)!r}: must be a file's name then, not its text"
            )
        file = self._folder / name
        if not name or not file.exists() or file.resolve() in self._included:
            return  # MuJoCo names it
        self._included.add(file.resolve())
        named, self._named = self._named, f"{file} (included by {self._named})"
        self.scan(read_text(file).removeprefix("\ufeff").lstrip().rstrip("\0"))
        self._named = named

    def end(self, _: str) -> None:
        """Take the end of an element."""
        self._path.pop()
        self._copies.pop()

    def _count(self, tag: str, attributes: dict[str, str]) -> int:
        """Return how many copies an element asks for."""
        if tag not in _COPIES:
            return 1
        try:
            count = math.prod(max(1, int(float(part))) for part in attributes.get(_COPIES[tag], "1").split())
        except (ValueError, OverflowError):
            return 1  # MuJoCo names it
        if count * self._copies[-1] > MOST_COPIES:
            raise BadDescription(f"{self._named}: <{tag}> asks for {count:.3g} copies; at most {MOST_COPIES} in all")
        return count


def outline(text: str, named: str, folder: Path | None) -> Outline:
    """Look through a description.

    Args:
        text: Its text.
        named: What errors call it.
        folder: Where the files are that it includes; None: it is a text, and may include none.

    Raises:
        BadDescription: If MuJoCo must not be given it.
    """
    scanner = _Scanner(named, folder)
    scanner.scan(text)
    return scanner.outline


def _found(tag: str, attributes: dict[str, str]) -> str:
    """Return the part of an element by which one sees that xacro has not been run."""
    if tag.startswith("xacro:"):
        return f"<{short(tag)}>"
    name, value = next((name, value) for name, value in attributes.items() if "${" in value or "$(" in value)
    return f'{short(name)}="{short(value)}"'


def short(text: str) -> str:
    """Return a text as errors quote it: its first 40 characters."""
    return text if len(text) <= 40 else text[:40] + "..."
