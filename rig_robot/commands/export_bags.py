"""`rig bags export`: write recorded episodes as a dataset for other programs."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from rig_robot.checkpoints.compatibility import robot_differences
from rig_robot.commands.options import ExportOptions
from rig_robot.common.durable_files import written_whole
from rig_robot.common.output_paths import check_folder
from rig_robot.recording.episode_reader import EpisodeError, EpisodeInfo, find
from rig_robot.recording.lerobot_dataset import LeRobotDataset
from rig_robot.recording.transitions import read_segments


def run(options: ExportOptions) -> int:
    """Write the dataset; return the exit status: 1 if an episode was left out.

    Raises:
        ValueError: If there is nothing to write, or it cannot be written.
    """
    if options.out.exists():
        raise ValueError(f"out is {options.out}, which exists: name a new directory")
    check_folder("out", options.out)
    good, refused = find(options.directory)
    left_out = [why for _, why in refused]
    if not good:
        raise ValueError(f"no episodes in {options.directory}; `rig bags {options.directory}` says more")
    with written_whole(options.out) as folder:
        dataset = LeRobotDataset(folder, good[0])
        for info in tqdm(good, unit="episode", disable=None):
            left_out += _add(dataset, info, good[0])
        dataset.close()
    print(f"{options.out}: {dataset.episodes} episodes, {dataset.frames} frames, of {len(good)} recorded episodes")
    for why in left_out:
        print(f"left out: {why}")
    return 1 if left_out else 0


def _add(dataset: LeRobotDataset, info: EpisodeInfo, first: EpisodeInfo) -> list[str]:
    """Add an episode's segments; return why it, or a part of it, was left out."""
    differences = [f"{name} is {found}, not {wanted}" for name, found, wanted in robot_differences(info, first)]
    if differences:
        return [f"{info.directory} is of another robot than {first.id}: {'; '.join(differences)}"]
    try:
        segments = read_segments(info)
    except EpisodeError as error:
        return [str(error)]
    lost = 0
    for segment in segments:
        if np.isfinite(segment.positions).all():
            dataset.add(segment, info)
        else:
            lost += len(segment.actions)
    return [f"{info.directory}: {lost} steps, where the tool's position was not measured throughout"] if lost else []
