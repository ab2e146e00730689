"""The state of a run on disk, so that a killed one goes on where it stopped.

Images are written to mapped files as they come and never change; everything else (networks, optimisers, the rest of
the replay buffer, how far the run is) is one small safetensors file that is replaced by rename after every episode. No
random state needs to be kept: see `Rig`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.numpy import save_file
from torch import nn

from rig_robot.learning.relabeling import Prior
from rig_robot.learning.representations import Latent
from rig_robot.learning.rig import Rig

STATE_FILE = "state.safetensors"
PROGRESS = ("explored", "seen", "rehearsed", "episodes")


def save_state(directory: Path, rig: Rig, notes: dict) -> None:
    """Replace the saved state of `rig`; notes: anything that JSON can hold, given back by `load_notes`."""
    tensors = {name: tensor.detach().numpy() for name, tensor in _tensors(rig)}
    size = rig.replay.size
    tensors |= {
        "replay.latents": rig.replay.latents[:size],
        "replay.states": rig.replay.states[:size],
        "replay.actions": rig.replay.actions[:size],
        "replay.episode": rig.replay.episode[:size],
        "replay.first": rig.replay.first,
        "replay.goals": rig.replay.goals,
        "prior.mean": rig.prior.mean,
        "prior.covariance": rig.prior.covariance,
    }
    progress = {name: getattr(rig, name) for name in PROGRESS}
    temporary = directory / f".{STATE_FILE}"
    contiguous = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    save_file(contiguous, temporary, {"progress": json.dumps(progress), "notes": json.dumps(notes)})
    temporary.rename(directory / STATE_FILE)


def load_notes(directory: Path) -> dict | None:
    """The notes of the saved state, or None when nothing was saved yet."""
    path = directory / STATE_FILE
    if not path.exists():
        return None
    with safetensors.safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["notes"])


def load_state(directory: Path, rig: Rig) -> None:
    """Bring `rig`, made with the same arguments, to its saved state."""
    with safetensors.safe_open(directory / STATE_FILE, framework="np") as file:
        progress = json.loads(file.metadata()["progress"])
        saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    for name in PROGRESS:
        setattr(rig, name, progress[name])
    size = len(saved["replay.latents"])
    rig.replay.size, rig.replay.first, rig.replay.goals = size, saved["replay.first"], saved["replay.goals"]
    rig.replay.states[:size] = saved["replay.states"]
    rig.replay.latents[:size] = saved["replay.latents"]
    rig.replay.actions[:size] = saved["replay.actions"]
    rig.replay.episode[:size] = saved["replay.episode"]
    rig.prior = Prior(saved["prior.mean"], saved["prior.covariance"])
    for name, optimiser in _optimisers(rig):
        _begin(optimiser, {int(key.split(".")[1]) for key in saved if key.startswith(f"{name}.")})
    with torch.no_grad():
        for name, tensor in _tensors(rig):
            tensor.copy_(torch.from_numpy(saved[name]))


def _modules(rig: Rig) -> list[tuple[str, nn.Module]]:
    return [("representation", rig.representation), ("td3", rig.td3)]


def _optimisers(rig: Rig) -> list[tuple[str, torch.optim.Adam]]:
    td3 = rig.td3
    optimisers: list[tuple[str, torch.optim.Adam]] = [
        ("actor_optimiser", td3.actor_optimiser),
        ("critic_optimiser", td3.critic_optimiser),
        ("value_optimiser", td3.value_optimiser),
    ]
    if isinstance(rig.representation, Latent):
        optimisers.append(("vae_optimiser", rig.representation.trainer.optimiser))
    return optimisers


def _tensors(rig: Rig) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor that training changes, with a name."""
    for prefix, module in _modules(rig):
        for name, tensor in module.state_dict().items():
            yield f"{prefix}.{name}", tensor
    for prefix, optimiser in _optimisers(rig):
        for number, parameter in enumerate(_parameters(optimiser)):
            for name, tensor in optimiser.state.get(parameter, {}).items():
                yield f"{prefix}.{number}.{name}", tensor


def _begin(optimiser: torch.optim.Adam, stepped: set[int]) -> None:
    """Make an Adam have the state tensors that the first steps of those parameters make, to be filled."""
    for number, parameter in enumerate(_parameters(optimiser)):
        if number in stepped:
            optimiser.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }


def _parameters(optimiser: torch.optim.Adam) -> list[torch.Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
