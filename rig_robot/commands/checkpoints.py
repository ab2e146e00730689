"""Runs `rig checkpoints`: lists the checkpoints of a root and their parents, and switches to another one."""

from __future__ import annotations

from pathlib import Path

from rig_robot.checkpoints.checkpoint import CURRENT
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.checkpoints.listing import find
from rig_robot.commands.options import CheckpointsOptions
from rig_robot.common.package_files import SCHEME, locate

_HEAD = ("", "checkpoint", "from", "made (UTC)", "samples", "VAE", "figures")
_FIGURES = 4
"""Figures shown of each checkpoint, distances first; `config.json` has all"""


def run(options: CheckpointsOptions) -> int:
    """List or switch; return the exit status: 1 if a checkpoint is broken or a switch was rejected."""
    place = str(options.root)
    root = locate(place) if place.startswith(SCHEME) else Path(place)
    if options.switch:
        from rig_robot.checkpoint_delivery.manual_switch import switch  # imports rclpy

        outcome = switch(root, options.switch, options.namespace, options.timeout)
        print(outcome.text)
        return 0 if outcome.accepted else 1
    good, broken = find(root)
    link = root / CURRENT
    current = link.resolve().name if link.is_symlink() else ""
    lines: list[tuple[str, ...]] = [_HEAD, *(_line(name, config, name == current) for name, config in good)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines if good else ():
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    state = f"current is {current}" if current else f"none is current: there is no link named {CURRENT}"
    print(f"{len(good)} checkpoints in {root}; {state}")
    for why in broken:
        print(f"cannot be used: {why}")
    return 1 if broken or not good else 0


def _line(name: str, config: CheckpointConfig, current: bool) -> tuple[str, ...]:
    figures = ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in sorted(config.figures.items(), key=lambda figure: not figure[0].endswith("_mm"))[:_FIGURES]
    )
    samples = str(config.training.get("samples", "")) if config.trained else "untrained"
    made = config.created[:19].replace("T", " ")
    return "*" if current else "", name, config.parent, made, samples, config.vae_id, figures
