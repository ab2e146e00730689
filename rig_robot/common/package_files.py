"""Finds files that are installed with the packages, for pip, pip -e, colcon and a checkout alike."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path

SCHEME = "package://"
RENAMED = {"rig_robot/checkpoints": "rig_robot/models"}
"""Deprecated names of folders in packages (version 0.1), still accepted for one version."""


class NotFound(ValueError):
    """A requested file does not exist; the text names the places that were searched."""


def share(*parts: str) -> Path:
    """Return a file or folder of `share/rig_robot` (config, launch), e.g. `share("config", "sim.yaml")`.

    Raises:
        NotFound: If no installed share folder nor the checkout has it.
    """
    package = Path(__file__).resolve().parents[1]
    # Search the checkout first, so that its edited files are used; then the prefix that this file was installed under.
    roots = [package.parent] if (package.parent / "package.xml").is_file() else []
    roots += [parent / "share" / "rig_robot" for parent in package.parents[1:6]]
    roots.append(Path(sys.prefix) / "share" / "rig_robot")
    for root in roots:
        if (path := root.joinpath(*parts)).exists():
            return path
    raise NotFound(f"{Path(*parts)} is in none of {', '.join(str(root) for root in roots)}")


def locate(place: str) -> Path:
    """Return the path that a parameter names: an ordinary path, or `package://NAME/PATH` inside a Python package.

    Raises:
        NotFound: If the path does not exist.
    """
    if not place.startswith(SCHEME):
        path = expanded(place)
    else:
        inside = place.removeprefix(SCHEME)
        for old, new in RENAMED.items():
            if (inside + "/").startswith(old + "/"):
                inside = new + inside.removeprefix(old)
                warnings.warn(
                    f"{place} is now {SCHEME}{inside}; the old name ends with 0.2", FutureWarning, stacklevel=2
                )
        name, _, inside = inside.partition("/")
        try:
            spec = importlib.util.find_spec(name)
        except (ModuleNotFoundError, ValueError):  # the parent of a dotted name is missing, or the name is empty
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise NotFound(f"{place}: there is no Python package {name}")
        path = Path(spec.submodule_search_locations[0]) / inside
    if not path.exists():
        raise NotFound(f"{place}: {path} does not exist")
    return path.resolve()


def expanded(path: str | Path) -> Path:
    """Return a path with `~` replaced by the home directory; where there is no such user, the path as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
