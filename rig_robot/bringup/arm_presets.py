"""Reads the presets of config/arms/ into parameters of the arm node."""

from __future__ import annotations

from pathlib import Path

import yaml

from rig_robot.bringup.node_spec import BringupError, Parameters
from rig_robot.common.package_files import SCHEME, share

ARM_MUST_SAY = (
    *("description", "joints", "tool", "rest", "workspace_low", "workspace_high"),
    *("table_height", "collision_margin", "tool_speed", "tool_acceleration", "turn_speed", "posture_speed"),
    *("approach_rate", "joint_speed", "joint_acceleration", "tracking_error", "singularity_slow", "singularity_stop"),
)
"""What an arm's preset or configuration must say: there is no default for a bound."""


def presets() -> list[str]:
    """Return the names of the arms that come with the package."""
    return sorted(file.stem for file in share("config", "arms").glob("*.yaml"))


def arm_parameters(given: Parameters, file: Path) -> Parameters:
    """Return an arm's parameters: what the preset that it names says, replaced by what it says itself.

    Args:
        given: The arm's entry of the configuration.
        file: The configuration; a preset or description with a relative path is looked for beside the file that
            names it.

    Raises:
        BringupError: If there is no such preset.
    """
    said = _with_description(given, file)
    if (preset := said.pop("preset", None)) is None:
        return said
    source = _preset_file(str(preset), file)
    try:
        content = yaml.safe_load(source.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise BringupError(f"arm preset {source}: {error}") from None
    if not isinstance(content, dict):
        raise BringupError(f"arm preset {source}: must be a mapping of the arm's parameters")
    return _with_description(content, source) | said


def _preset_file(preset: str, file: Path) -> Path:
    if preset.endswith((".yaml", ".yml")):
        return file.parent / preset
    if preset not in presets():
        raise BringupError(
            f"configuration {file}: there is no arm preset {preset!r}; there are {', '.join(presets())}, "
            "or the path of your own YAML file"
        )
    return share("config", "arms", f"{preset}.yaml")


def _with_description(parameters: Parameters, file: Path) -> Parameters:
    """Return a copy in which a description with a relative path has become one that is found from anywhere."""
    description = parameters.get("description")
    if not isinstance(description, str) or description == "topic" or description.startswith(SCHEME):
        return dict(parameters)
    return parameters | {"description": str((file.parent / Path(description).expanduser()).absolute())}
