"""`rig bags`: list the recorded episodes in a folder, one line each."""

from __future__ import annotations

from pathlib import Path

from rig_robot.commands.options import BagsOptions
from rig_robot.recording import topics
from rig_robot.recording.episode_reader import EpisodeError, EpisodeInfo, find, latent_distances

_HEAD = ("episode", "mode", "s", "steps", "goal", "distance", "dropped", "checkpoint", "")


def run(options: BagsOptions) -> int:
    """Print the list; return the exit status: 1 if an episode cannot be used or the folder is the wrong one."""
    good, refused = find(options.directory)
    lines: list[tuple[str, ...]] = [_HEAD]
    for info in good:
        try:
            lines.append(_line(info))
        except EpisodeError as error:
            refused.append((info.directory, str(error)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines if len(lines) > 1 else ():
        cells = (
            text.rjust(width) if name in ("s", "steps", "dropped") else text.ljust(width)
            for name, text, width in zip(_HEAD, line, widths, strict=True)
        )
        print("  ".join(cells).rstrip())
    seconds, dropped = sum(info.duration_s for info in good), sum(sum(info.drops.values()) for info in good)
    elsewhere = "" if good else _elsewhere(options.directory)
    if good:
        print(f"{len(lines) - 1} episodes, {seconds:.0f} s, {dropped} messages dropped")
    else:
        print(f"no episodes in {options.directory}{elsewhere}")
    for _, why in refused:
        print(f"cannot be used: {why}")
    return 1 if refused or elsewhere else 0


def _elsewhere(directory: Path) -> str:
    """Return a hint where the given folder is an episode, or the parent of the folder of episodes; otherwise ""."""
    if any(directory.glob("*.mcap")):
        return f": that is an episode, its folder is {directory.absolute().parent}"
    below = [folder for folder in directory.iterdir() if folder.is_dir() and any(folder.glob("*/*.mcap"))]
    return f": there are some in {', '.join(map(str, sorted(below)))}" if below else ""


def _line(info: EpisodeInfo) -> tuple[str, ...]:
    distances = latent_distances(info)
    drops = ", ".join(f"{count} {role}" for role, count in sorted(info.drops.items()))
    return (
        info.id,
        info.mode,
        f"{info.duration_s:.1f}",
        str(info.messages.get(topics.TWIST, 0)),
        info.goal_kind,
        "{:.2f} -> {:.2f}".format(*distances) if distances else "",
        drops or "0",
        info.checkpoint,
        "recovered" if info.recovered else "",
    )
