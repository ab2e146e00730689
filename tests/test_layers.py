"""The folders stand in layers: each imports only what docs/architecture.md allows it, and that stands below it."""

import ast
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))

import draw_layers

LAYERS = draw_layers.table()


def test_no_import_leaves_the_table() -> None:
    wrong = {
        f"{where}: {above} may not import {below}"
        for above, below, where in draw_layers.imports(LAYERS)
        if below not in LAYERS[above]
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_every_arrow_of_the_table_leads_down_so_that_there_is_no_circle() -> None:
    order = list(LAYERS)
    assert len(order) > 20
    for above, allowed in LAYERS.items():
        for below in allowed:
            assert below in order, f"{above} may import {below}, which has no row"
            assert order.index(below) > order.index(above), f"{above} may import {below}, which stands above it"


def test_the_table_allows_nothing_that_is_not_used() -> None:
    used = {(above, below) for above, below, _ in draw_layers.imports(LAYERS)}
    idle = [
        f"{above} -> {below}" for above, allowed in LAYERS.items() for below in allowed if (above, below) not in used
    ]
    assert not idle, f"take out of the table: {idle}"


def test_the_picture_is_of_these_imports() -> None:
    text = draw_layers.DOCUMENT.read_text()
    assert draw_layers.PICTURE.search(text), "the document has no place for the picture"
    assert draw_layers.drawn(text) == text, "run: python docs/draw_layers.py"


def test_what_the_robot_runs_beside_its_nodes_needs_neither_ros_nor_torch() -> None:
    folders = [draw_layers.ROOT / "rig_robot" / name for name in ("arm", "cameras", "inference")]
    modules = [f"rig_robot.{file.parent.name}.{file.stem}" for folder in folders for file in folder.glob("[a-z]*.py")]
    script = f"import sys, {', '.join(modules)}\nassert not {{'rclpy', 'torch'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_function_is_longer_than_60_lines_and_no_class_than_250() -> None:
    long = []
    for folder in draw_layers.PACKAGES.values():
        for file in sorted((draw_layers.ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    lines = (node.end_lineno or 0) - node.lineno + 1
                    if lines > (250 if isinstance(node, ast.ClassDef) else 60):
                        long.append(f"{file.relative_to(draw_layers.ROOT)}: {node.name} has {lines} lines")
    assert not long, "split along its ideas:\n" + "\n".join(long)
