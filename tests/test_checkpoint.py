"""Checkpoints: whole or not there, immutable, and refused by name when anything in them is not what they say."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from rig_robot.checkpoints.checkpoint import activate, read_config, resolve, save
from rig_robot.checkpoints.config import (
    ActionEntry,
    CameraEntry,
    CheckpointConfig,
    CheckpointError,
    PolicyEntry,
    PriorEntry,
    VaeEntry,
    WorkspaceEntry,
)
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.vae.vae import Vae
from rig_robot.vision.view_check import Reference, reference

LATENT = 3


def config() -> CheckpointConfig:
    return CheckpointConfig(
        created="2025-01-01T00:00:00Z",
        seed=1,
        vae=VaeEntry(latent_size=LATENT, channels=(4, 4, 4)),
        policy=PolicyEntry(hidden=(8, 8)),
        camera=CameraEntry(width=640, height=480, crop=(0.125, 0.0, 0.75, 1.0), image_size=48),
        action=ActionEntry(
            axes=("x", "y"), scale_m=0.02, period_s=0.1, fixed={"z": 0.2}, tool_orientation=(0.0, 1.0, 0.0, 0.0)
        ),
        workspace=WorkspaceEntry(low=(0.45, -0.2, 0.2), high=(0.75, 0.2, 0.2)),
        latent_prior=PriorEntry(mean=(0.0,) * LATENT, covariance=tuple(tuple(row) for row in np.eye(LATENT).tolist())),
        training={"steps": 1},
    )


def write(directory: Path, seed: int = 0, with_scene: bool = False, scene: Reference | None = None) -> CheckpointConfig:
    torch.manual_seed(seed)
    vae = {name: value.numpy() for name, value in Vae(48, LATENT, (4, 4, 4)).state_dict().items()}
    actor = {f"actor.{name}": value.numpy() for name, value in Actor(LATENT, 2, (8, 8)).state_dict().items()}
    if with_scene:
        scene = Reference.of(np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8))
    return save(directory, config(), vae, actor, scene.tensors() if scene else None)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    write(tmp_path / "first")
    return tmp_path / "first"


def test_what_is_written_is_read(checkpoint: Path) -> None:
    written = config()
    found = read_config(checkpoint)
    hashes = {"vae": found.vae, "policy": found.policy}
    assert dataclasses.replace(written, **hashes) == found
    assert found.vae_id == found.vae.sha256[:8] == found.policy.vae_sha256[:8]


def test_encoder_and_policy_run_on_a_read_only_image(checkpoint: Path) -> None:
    encoder, policy = Encoder(checkpoint), Policy(checkpoint)
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    mean, log_variance = encoder.encode(np.frombuffer(image.tobytes(), np.uint8).reshape(48, 48, 3))
    assert mean.shape == log_variance.shape == (LATENT,) and mean.dtype == np.float32
    assert np.array_equal(mean, encoder.encode(image)[0])
    action = policy.act(mean, encoder.imagine(np.random.default_rng(0)))
    assert action.shape == (2,) and np.abs(action).max() <= 1
    assert encoder.decode(mean).shape == (48, 48, 3)


def test_bad_inputs_are_named_not_acted_on(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match=r"48, 48"):
        Encoder(checkpoint).encode(np.zeros((84, 84, 3), np.uint8))
    with pytest.raises(ValueError, match="goal"):
        Policy(checkpoint).act(np.zeros(LATENT, np.float32), np.full(LATENT, np.nan, np.float32))


@pytest.mark.parametrize("file", ["vae.safetensors", "policy.safetensors"])
def test_a_changed_byte_is_refused_with_both_hashes(checkpoint: Path, file: str) -> None:
    content = bytearray((checkpoint / file).read_bytes())
    content[-1] ^= 1
    (checkpoint / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{file}: sha256 is [0-9a-f]{{64}}, config.json says [0-9a-f]{{64}}"):
        read_config(checkpoint)


@pytest.mark.parametrize("file", ["vae.safetensors", "policy.safetensors", "config.json"])
def test_a_missing_file_is_named(checkpoint: Path, file: str) -> None:
    (checkpoint / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        read_config(checkpoint)


def test_a_policy_of_another_vae_is_refused(checkpoint: Path) -> None:
    other = write(checkpoint.parent / "second", seed=1)
    data = json.loads((checkpoint / "config.json").read_text())
    data["vae"]["sha256"] = other.vae.sha256
    (checkpoint / "vae.safetensors").write_bytes((checkpoint.parent / "second/vae.safetensors").read_bytes())
    (checkpoint / "config.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"policy\.vae_sha256"):
        read_config(checkpoint)


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("format",), 5, "format is 5, this version reads 1 to 4"),
        (("action", "scale_m"), "fast", r"scale_m is 'fast', expected float"),
        (("action", "scale_m"), float("nan"), "scale_m is nan"),
        (("action", "axes"), ["x", "x"], r"action\.axes"),
        (("camera", "crop"), [0.5, 0.0, 0.75, 1.0], r"camera\.crop"),
        (("camera", "crop"), [0.5, 0.0], "crop is"),
        (("workspace", "low"), [1.0, 0.0, 0.2], r"workspace\.low"),
        (("latent_prior", "mean"), [0.0], r"latent_prior\.mean"),
        (("vae", "file"), "../vae.safetensors", r"vae\.file"),
        (("vae",), None, "vae is None"),
        (("vae", "file"), "vae\0", r"vae\.file"),
        (("vae", "file"), "\ud800", "is not JSON"),
        (("vae", "latent_size"), 2**31, r"vae\.latent_size is 2147483648, expected above 0, at most 65536"),
        (("vae", "channels"), [4, 0, 4], r"vae\.channels"),
        (("policy", "hidden"), [], r"policy\.hidden"),
        (("camera", "width"), 0, r"camera\.width is 0, expected above 0"),
        (("camera", "image_size"), 10**9, r"camera\.image_size"),
        (("action", "period_s"), 10**400, r"period_s is 1000"),
        (("training", "samples"), "many", "training is"),
        (("latent_prior", "mean"), [0.0, 1e299, 0.0], r"latent_prior has the number 1e\+299"),
        (("latent_prior", "covariance"), [[1.0, 9.0, 0.0], [9.0, 1.0, 0.0], [0.0, 0.0, 1.0]], r"that of a Gaussian"),
    ],
)
def test_a_wrong_value_in_config_is_named(checkpoint: Path, place: tuple[str, ...], value: object, named: str) -> None:
    data = json.loads((checkpoint / "config.json").read_text())
    target = data
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    (checkpoint / "config.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=named):
        read_config(checkpoint)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000, b"9" * 5000])
def test_a_config_that_is_not_one_is_refused(checkpoint: Path, content: bytes) -> None:
    (checkpoint / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_config(checkpoint)


def test_a_key_that_is_there_twice_is_refused(checkpoint: Path) -> None:
    """The last one would count, in silence: another box than one reads above."""
    file = checkpoint / "config.json"
    file.write_text(file.read_text().replace('"workspace": {', '"workspace": {"low": [0, 0, 0], ', 1))
    with pytest.raises(CheckpointError, match="the key 'low' is there twice"):
        read_config(checkpoint)


def mend(checkpoint: Path, entry: str, content: bytes) -> None:
    """Put another file into a checkpoint, and its sum into config.json."""
    data = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / f"{entry}.safetensors").write_bytes(content)
    data[entry]["sha256"] = hashlib.sha256(content).hexdigest()
    data["policy"]["vae_sha256"] = data["vae"]["sha256"]
    (checkpoint / "config.json").write_text(json.dumps(data))


def test_tensors_that_are_not_finite_too_large_or_of_a_type_that_numpy_lacks_are_refused_though_their_sum_is_right(
    checkpoint: Path,
) -> None:
    tensors = safetensors.torch.load_file(checkpoint / "policy.safetensors")
    name = min(tensors)
    for other, words in (
        (tensors[name] * float("nan"), "has numbers that are not finite"),
        (tensors[name] * 0 + 1e30, "or above 10000"),  # the policy's action would be no number
        (tensors[name].to(torch.float8_e4m3fn), "is not a safetensors file|does not fit"),
        (tensors[name].to(torch.bfloat16), "is not a safetensors file|does not fit"),
        (tensors[name][:1], "does not fit"),
    ):
        mend(checkpoint, "policy", safetensors.torch.save(tensors | {name: other.contiguous()}))
        with pytest.raises(CheckpointError, match=f"policy.safetensors.*({words})"):
            Policy(checkpoint)


def test_a_scene_of_other_shapes_or_names_is_refused_though_its_sum_is_right(tmp_path: Path) -> None:
    write(tmp_path / "first", with_scene=True)
    good = np.zeros((48, 48, 3), np.uint8)
    for tensors, words in (
        ({"median": good}, "steady is missing"),
        ({"median": good, "steady": good}, r"steady is uint8 \(48, 48, 3\), expected uint8 \(48, 48\)"),
        ({"median": good.astype(np.float32), "steady": good[..., 0]}, "median is float32"),
    ):
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        mend(tmp_path / "first", "scene", safetensors.numpy.save(tensors))
        with pytest.raises(CheckpointError, match=f"scene.safetensors: {words}"):
            reference(tmp_path / "first")


def test_networks_of_another_shape_are_refused(checkpoint: Path) -> None:
    data = json.loads((checkpoint / "config.json").read_text())
    data["vae"]["channels"] = [4, 4, 8]
    data["policy"]["hidden"] = [8]
    (checkpoint / "config.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"vae\.safetensors does not fit"):
        Encoder(checkpoint)
    with pytest.raises(CheckpointError, match=r"policy\.safetensors does not fit"):
        Policy(checkpoint)


def test_a_checkpoint_is_never_overwritten(checkpoint: Path) -> None:
    before = {file.name: file.read_bytes() for file in checkpoint.iterdir()}
    with pytest.raises(CheckpointError, match="exists already"):
        write(checkpoint, seed=1)
    assert before == {file.name: file.read_bytes() for file in checkpoint.iterdir()}


def test_current_follows_activation_and_an_opened_checkpoint_does_not(checkpoint: Path) -> None:
    root = checkpoint.parent
    write(root / "second", seed=1)
    activate(checkpoint)
    opened = resolve(root)
    activate(root / "second")
    assert opened == checkpoint.resolve()
    assert resolve(root) == (root / "second").resolve()


def test_several_processes_may_activate_at_once(checkpoint: Path) -> None:
    root = checkpoint.parent
    write(root / "second", seed=1)
    names = (checkpoint.name, "second")
    program = "import sys, pathlib; from rig_robot.checkpoints.checkpoint import activate\n"
    program += "for _ in range(200): activate(pathlib.Path(sys.argv[1]))"
    activate(checkpoint)
    running = [subprocess.Popen([sys.executable, "-c", program, root / name]) for name in names]
    while any(process.poll() is None for process in running):
        assert resolve(root).name in names
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(path.name for path in root.iterdir()) == sorted((*names, "current"))


def test_what_a_killed_save_left_is_not_a_checkpoint_and_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / ".first.partial").mkdir()
    (tmp_path / ".first.partial" / "vae.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError):
        resolve(tmp_path)
    write(tmp_path / "first")
    read_config(tmp_path / "first")
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def test_a_checkpoint_from_before_there_were_scenes_is_read_and_has_none(checkpoint: Path) -> None:
    data = json.loads((checkpoint / "config.json").read_text())
    assert data.pop("scene") is None
    (checkpoint / "config.json").write_text(json.dumps(data))
    assert read_config(checkpoint).scene is None
    assert reference(checkpoint) is None


def test_a_scene_is_kept_and_verified_like_the_networks(tmp_path: Path) -> None:
    checkpoint = tmp_path / "first"
    written = write(checkpoint, with_scene=True)
    assert read_config(checkpoint) == written
    known = reference(checkpoint)
    assert known is not None and known.median.shape == (48, 48, 3) and known.steady.shape == (48, 48)
    content = bytearray((checkpoint / "scene.safetensors").read_bytes())
    content[-1] ^= 1
    (checkpoint / "scene.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"scene\.safetensors: sha256"):
        read_config(checkpoint)
    (checkpoint / "scene.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"scene\.safetensors"):
        read_config(checkpoint)


def test_reading_a_config_does_not_import_torch(checkpoint: Path) -> None:
    program = (
        "import sys; from rig_robot.checkpoints.checkpoint import read_config; "
        f"read_config({str(checkpoint)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
