"""Makes one line of a text that came from elsewhere, for errors and logs."""

from __future__ import annotations

LONGEST = 900
"""Longest line [characters]; what comes after it is left out."""


def one_line(text: str) -> str:
    """Return a text as one line that can be printed, at most LONGEST characters.

    Names of files may hold bytes that are not UTF-8, topics line breaks, and libraries quote whatever they did not
    understand.
    """
    line = "".join(character if character.isprintable() else " " for character in printable(text))
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 4]} ..."


def printable(text: str) -> str:
    """Return a text that can be printed and logged: half a surrogate pair is escaped."""
    return text.encode(errors="backslashreplace").decode()
