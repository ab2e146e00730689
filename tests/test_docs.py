"""Documentation is complete and its links lead somewhere.

docs/nodes.md names every topic, service and parameter that a node has: people wire robots by it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "nodes.md").read_text()
NAMELESS = {ROOT / "rig_robot" / "nodes" / f"{name}.py" for name in ("camera_parameters", "composed", "typed_status")}
"""Files beside the nodes that name no topic, service or parameter of their own"""
SOURCES = [
    *sorted(set((ROOT / "rig_robot" / "nodes").glob("[a-z]*.py")) - NAMELESS),
    ROOT / "rig_robot" / "checkpoint_delivery" / "swap_follower.py",
    ROOT / "rig_robot" / "ros" / "arm_parameters.py",
    ROOT / "rig_robot" / "ros" / "realtime_priority.py",
    *(ROOT / "rig_robot" / "cameras" / f"{name}.py" for name in ("driver", "realsense", "v4l2", "playback")),
    ROOT / "sim" / "robot_node.py",
    ROOT / "sim" / "goals_node.py",
    ROOT / "sim" / "window_node.py",
]
NAMED = (
    r"\bOption\(\s*\"([^\"]+)\"",
    r"\.declare\(\s*\"([^\"]+)\"",
    r"\bbounds?\(\s*\"([^\"]+)\"",
    r"(?:publisher|subscribe|_subscribe_twice|create_subscription)\(\s*\w+,\s*\"([^\"]+)\"",
    r"create_service\(\s*\w+,\s*\"([^\"]+)\"",
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_name_of_a_node_is_in_its_documentation(source: Path) -> None:
    code = source.read_text()
    names = {name for pattern in NAMED for name in re.findall(pattern, code)}
    assert names, "the patterns no longer match how nodes are written"
    missing = sorted(name for name in names if f"`{name}`" not in DOCUMENT)
    assert not missing, f"docs/nodes.md does not name {missing}"


DOCS = sorted((ROOT / "docs").glob("*.md"))
READING = [ROOT / "README.md", *DOCS]
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS]
"""All pages. Those at the root but the README also name files of earlier versions or files to create."""


def prose(page: Path) -> str:
    """The page without fenced and indented code blocks, where brackets and # are no Markdown."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them: lower case, no punctuation, spaces as hyphens."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):  # a web address: not looked up
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    assert not list(broken_links(page))


@pytest.mark.parametrize("page", READING, ids=lambda page: page.name)
def test_every_python_file_that_a_page_names_exists(page: Path) -> None:
    # The table of folders has a test of its own, which compares it with the imports.
    text = re.sub(r"^## Where things live\n.*?^(?=## )", "", prose(page), flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([\w/]+\.py)\b", text))
    folders = ("rig_robot", "sim", "tests", "benchmarks", "launch")
    files = [file.relative_to(ROOT) for folder in folders for file in (ROOT / folder).rglob("*.py")]
    files += [file.relative_to(ROOT) for file in ROOT.glob("*.py")]
    missing = {name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)}
    # The reader makes this file himself.
    assert missing <= {"nudge.py"}


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_page_says_at_its_beginning_for_whom_it_is(page: Path) -> None:
    title, _, first = page.read_text().split("\n")[:3]
    assert title.startswith("# ") and re.search(r"\bfor\b", first, re.IGNORECASE)
