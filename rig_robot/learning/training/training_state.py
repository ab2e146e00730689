"""Saves and loads the state of a run, so that a killed run goes on where it stopped.

Images are written to mapped files as they come and never change; everything else (networks, optimisers, the rest of
the replay buffer, how far the run is) is one small safetensors file that is replaced by rename after every unit of
work. No random state needs to be kept: see `Rig`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.numpy import save_file
from torch import nn

from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rig import Rig
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import ReplayBuffer

STATE_FILE = "state.safetensors"
PROGRESS = ("explored", "seen", "rehearsed", "episodes")


def save_state(
    directory: Path, rig: Rig, notes: dict, more: Mapping[str, np.ndarray] | None = None, name: str = STATE_FILE
) -> None:
    """Replace the saved state of `rig`.

    Args:
        directory: Where.
        rig: Its networks, optimisers, replay buffer but for the images, and prior are saved.
        notes: Anything that JSON can hold; `load_notes` returns it.
        more: Further arrays; `load_state` returns them.
        name: Of the file.
    """
    tensors = {name: tensor.detach().numpy() for name, tensor in _tensors(rig)}
    tensors |= replay_arrays(rig.replay, "replay")
    tensors |= {"prior.mean": rig.prior.mean, "prior.covariance": rig.prior.covariance}
    tensors |= more or {}
    progress = {name: getattr(rig, name) for name in PROGRESS}
    temporary = directory / f".{name}"
    contiguous = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    save_file(contiguous, temporary, {"progress": json.dumps(progress), "notes": json.dumps(notes)})
    temporary.rename(directory / name)


def load_notes(directory: Path) -> dict | None:
    """Return the notes of the saved state; None where nothing was saved yet."""
    path = directory / STATE_FILE
    if not path.exists():
        return None
    with safetensors.safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["notes"])


def load_state(directory: Path, rig: Rig) -> dict[str, np.ndarray]:
    """Bring `rig`, made with the same arguments, to its saved state; return all arrays that were saved."""
    with safetensors.safe_open(directory / STATE_FILE, framework="np") as file:
        progress = json.loads(file.metadata()["progress"])
        saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    for name in PROGRESS:
        setattr(rig, name, progress[name])
    fill_replay(rig.replay, "replay", saved)
    _fill_learnt(rig, saved)
    return saved


def load_learnt(path: Path, rig: Rig) -> None:
    """Restore networks, optimisers and prior, but not the replay buffer, from the state at `path`."""
    with safetensors.safe_open(path, framework="np") as file:
        names = [name for name in file.keys() if not name.startswith("replay.")]  # noqa: SIM118 (not a mapping)
        _fill_learnt(rig, {name: file.get_tensor(name) for name in names})


def replay_arrays(replay: ReplayBuffer, name: str) -> dict[str, np.ndarray]:
    """Return all arrays of a replay buffer but its images, by names that begin with `name`."""
    size = replay.size
    return {
        f"{name}.latents": replay.latents[:size],
        f"{name}.states": replay.states[:size],
        f"{name}.actions": replay.actions[:size],
        f"{name}.episode": replay.episode[:size],
        f"{name}.first": replay.first,
        f"{name}.goals": replay.goals,
    }


def fill_replay(replay: ReplayBuffer, name: str, saved: Mapping[str, np.ndarray]) -> None:
    """Fill a new replay buffer with the arrays of `replay_arrays`."""
    size = len(saved[f"{name}.latents"])
    replay.size, replay.first, replay.goals = size, saved[f"{name}.first"], saved[f"{name}.goals"]
    replay.states[:size] = saved[f"{name}.states"]
    replay.latents[:size] = saved[f"{name}.latents"]
    replay.actions[:size] = saved[f"{name}.actions"]
    replay.episode[:size] = saved[f"{name}.episode"]


def _fill_learnt(rig: Rig, saved: Mapping[str, np.ndarray]) -> None:
    rig.prior = Prior(saved["prior.mean"], saved["prior.covariance"])
    for name, optimiser in _optimisers(rig):
        optimiser.state.clear()
        _begin(optimiser, {int(key.split(".")[1]) for key in saved if key.startswith(f"{name}.")})
    with torch.no_grad():
        for name, tensor in _tensors(rig):
            tensor.copy_(torch.from_numpy(saved[name]))


def _modules(rig: Rig) -> list[tuple[str, nn.Module]]:
    return [("representation", rig.representation), ("td3", rig.td3)]


def _optimisers(rig: Rig) -> list[tuple[str, torch.optim.Adam]]:
    optimisers = list(rig.td3.optimisers.items())
    if isinstance(rig.representation, Latent):
        optimisers.append(("vae_optimiser", rig.representation.trainer.optimiser))
    return optimisers


def _tensors(rig: Rig) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor that training changes, with a name."""
    for prefix, module in _modules(rig):
        for name, tensor in module.state_dict().items():
            yield f"{prefix}.{name}", tensor
    for prefix, optimiser in _optimisers(rig):
        for number, parameter in enumerate(_parameters(optimiser)):
            for name, tensor in optimiser.state.get(parameter, {}).items():
                yield f"{prefix}.{number}.{name}", tensor


def _begin(optimiser: torch.optim.Adam, stepped: set[int]) -> None:
    """Give an Adam empty state tensors for the parameters (by number) that were stepped; the caller fills them."""
    for number, parameter in enumerate(_parameters(optimiser)):
        if number in stepped:
            optimiser.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }


def _parameters(optimiser: torch.optim.Adam) -> list[torch.Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
