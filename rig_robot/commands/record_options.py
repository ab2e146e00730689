"""What `rig bags` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class BagsOptions:
    """List recorded episodes, and what cannot be used and why."""

    directory: tyro.conf.Positional[Path]
    """Folder of episodes (of a practice: DATA/episodes)."""
