"""Draw the folders of the code and their imports into docs/architecture.md, for whoever changes an import.

    python docs/draw_layers.py

Reads the imports of `rig_robot/` and `sim/` with `ast`, so that those inside functions count, too. The picture leaves
out an arrow that a chain of others implies; the table above it names them all. `tests/test_layers.py` fails where table
or picture is not what the imports are.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
PACKAGES = {"rig_robot": "rig_robot", "rig_sim": "sim"}
"""Python packages and their folders."""
PICTURE = re.compile(r"(<!-- layers: begin -->\n).*?(<!-- layers: end -->)", re.DOTALL)
ROW = re.compile(r"^\| `(?P<layer>[\w/.]+)` \|[^|]*\| (?P<allowed>[^|]*) \|$", re.MULTILINE)


def table() -> dict[str, list[str]]:
    """Return what each folder or file of the document's table may import, from the top down."""
    return {
        row["layer"].rstrip("/"): re.findall(r"`([\w/.]+?)/?`", row["allowed"])
        for row in ROW.finditer(DOCUMENT.read_text())
    }


def layer_of(path: str, layers: Mapping[str, object]) -> str:
    """Return the row that a source file belongs to: the longest that its path begins with.

    Args:
        path: Path within `rig_robot/` (`nodes/arm.py`) or from the root (`sim/world.py`).
        layers: The rows.

    Raises:
        LookupError: If no row of the table has it.
    """
    fitting = [layer for layer in layers if path == layer or path.startswith(layer + "/")]
    if not fitting:
        raise LookupError(f"{path} belongs to no row of the table in {DOCUMENT.relative_to(ROOT)}")
    return max(fitting, key=len)


def imports(layers: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yield (from row, to row, "file:line") for each import from one row of the table to another."""
    for source, target, place in _arrows():
        above, below = layer_of(source, layers), layer_of(target, layers)
        if above != below:
            yield above, below, place


@functools.cache
def _arrows() -> list[tuple[str, str, str]]:
    """Return (importing file, imported file, "file:line") for each import within the project."""
    found = []
    for folder in PACKAGES.values():
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                for target in _targets(node):
                    found.append((_within(file), target, f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"))
    return [arrow for arrow in found if arrow[0] != "__init__.py"]  # that of the package itself is no folder's


def _within(file: Path) -> str:
    path = file.relative_to(ROOT).as_posix()
    return path.removeprefix("rig_robot/")


def _targets(node: ast.AST) -> Iterator[str]:
    """Yield the files of this project that an import statement loads."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return
    for name in names:
        parts = name.split(".")
        if parts[0] not in PACKAGES or len(parts) == 1:
            continue
        parts[0] = PACKAGES[parts[0]]
        for length in (len(parts), len(parts) - 1):  # a module, or a name in one
            place = ROOT.joinpath(*parts[:length])
            for file in (place.with_suffix(".py"), place / "__init__.py"):
                if length > 1 and file.is_file():
                    yield _within(file)
                    break
            else:
                continue
            break


def picture() -> str:
    """Return the picture as a Mermaid flowchart: an arrow means "imports"."""
    layers = table()
    below = {layer: {b for a, b, _ in imports(layers) if a == layer} for layer in layers}
    reach: dict[str, set[str]] = {}
    for layer in reversed(layers):  # from the bottom up: what stands below is known
        reach[layer] = below[layer].union(*(reach.get(b, set()) for b in below[layer]))
    names = {layer: layer.replace("/", "_").replace(".", "_") for layer in layers}
    lines = ["```mermaid", "flowchart TB"]
    lines += [f'    {names[layer]}["{layer}"]' for layer in layers]
    for layer in layers:
        implied = set().union(*(reach.get(b, set()) for b in below[layer]))
        lines += [f"    {names[layer]} --> {names[b]}" for b in layers if b in below[layer] - implied]
    return "\n".join([*lines, "```", ""])


def drawn(text: str) -> str:
    """Return the document's text with the picture as the imports are now."""
    return PICTURE.sub(lambda found: found[1] + picture() + found[2], text)


if __name__ == "__main__":
    DOCUMENT.write_text(drawn(DOCUMENT.read_text()))
