"""Reads the presets of config/arms/ into parameters of the arm node."""

from __future__ import annotations

from pathlib import Path

from rig_robot.bringup.node_spec import BringupError, Parameters
from rig_robot.bringup.parameters import ARM
from rig_robot.common.package_files import SCHEME, expanded, share
from rig_robot.common.yaml_reader import YamlError, read_yaml, short
from rig_robot.common.yaml_schema import check_keys, did_you_mean

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
        BringupError: If there is no such preset, or it says what no arm takes.
    """
    said = anchored(given, file)
    if (preset := said.pop("preset", None)) is not None:
        source = _preset_file(str(preset), file)
        try:
            document = read_yaml(source, f"arm preset {short(str(source), 300)}")
            content = check_keys(document, (), document.value, ARM, "parameter of an arm")
        except YamlError as error:
            raise BringupError(str(error)) from None
        said = anchored(content, source) | said
    return said


def _preset_file(preset: str, file: Path) -> Path:
    if _is_file(preset):
        return _beside(file, preset)
    if preset not in presets():
        raise BringupError(
            f"configuration {file}: there is no arm preset {short(preset)!r}{did_you_mean(preset, presets())}; there "
            f"are {', '.join(presets())}, or the path of your own YAML file"
        )
    return share("config", "arms", f"{preset}.yaml")


def anchored(parameters: Parameters, file: Path) -> Parameters:
    """Return an arm's parameters with a description and a preset that are found from anywhere.

    Args:
        parameters: Parameters of an arm.
        file: The file that says so, which relative paths are relative to.
    """
    said = dict(parameters)
    description, preset = said.get("description"), said.get("preset")
    if isinstance(description, str) and description != "topic" and not description.startswith(SCHEME):
        said["description"] = str(_beside(file, description))
    if isinstance(preset, str) and _is_file(preset):
        said["preset"] = str(_beside(file, preset))
    return said


def _is_file(preset: str) -> bool:
    return preset.endswith((".yaml", ".yml"))


def _beside(file: Path, path: str) -> Path:
    return (file.parent / expanded(path)).absolute()
