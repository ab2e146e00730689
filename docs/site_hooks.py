"""Hooks of the documentation site (mkdocs.yml): the README as its first page, and links that lead out of docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Pages beside docs/, and their names in the site"""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that stand beside docs/."""
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page whose links lead to pages of the site; files of the code are named without a link."""
    for source, name in PAGES.items():
        markdown = re.sub(rf"\]\((?:\.\./)?{source}(#[^)]*)?\)", rf"]({name}\1)", markdown)
    markdown = re.sub(r"\]\(docs/", "](", markdown)
    return re.sub(
        r"\[([^]]+)\]\((?:\.\./)?((?:rig_robot|sim|config|launch|tests|benchmarks|policies)/[^)]*)\)",
        r"\1 (`\2`)",
        markdown,
    )
