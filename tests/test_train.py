"""Whole (tiny) runs of RIG in the real simulation: repeatable, killable, and with a checkpoint that acts."""

import dataclasses
import json
import re
import shlex
import shutil
import signal
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
import tyro
from safetensors.numpy import load_file
from training_process import start_training

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.checkpoints.checkpoint import read_config, resolve
from rig_robot.command_table import _environment as environment
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import EvalArgs, ExploreArgs, Implementation, Method, TrainArgs
from rig_robot.learning.methods import METHODS, preset
from rig_robot.learning.rig import Rig, frames
from rig_robot.learning.training.evaluate import evaluate
from rig_robot.learning.training.train import record, train
from rig_robot.learning.training.training_state import load_notes, load_state, save_state


def box(args: TrainArgs) -> ActionBox:
    """Return the box of a run's environment."""
    env = gymnasium.make(args.env)
    env.close()
    return ActionBox.of_environment(env.unwrapped)


TINY = {
    "exploration_steps": 150,
    "online_steps": 300,
    "vae_updates": 50,
    "vae_batch": 8,
    "updates": 1,
    "rehearsal_updates": 200,
    "calibration": 100.0,
    "fine_tune_every": 2,
    "fine_tune_updates": 2,
    "channels": (4, 8, 8),
    "hidden": (32, 32),
    "batch": 32,
    "evaluate_every": 150,
    "evaluation_goals": 1,
    "final_goals": 2,
    "pictures": False,
}
DRAWN = TINY | {"pictures": True}
"""The arguments of the run that all tests share."""


def train_tiny(out: Path) -> None:
    train(TrainArgs(out=out, **TINY), gymnasium.make)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an undisturbed run."""
    out = tmp_path_factory.mktemp("run")
    train(TrainArgs(out=out, **DRAWN), gymnasium.make)
    return out


def same_tensors(first: Path, second: Path) -> bool:
    for file in ("vae.safetensors", "policy.safetensors"):
        one, other = load_file(first / file), load_file(second / file)
        if one.keys() != other.keys() or any(one[name].tobytes() != other[name].tobytes() for name in one):
            return False
    return True


def last(out: Path) -> Path:
    return resolve(out / "checkpoints")


def test_a_run_leaves_a_checkpoint_that_acts_and_pictures(run: Path) -> None:
    config = read_config(run / "checkpoints")
    assert last(run).name == "step-000300"
    assert config.action.axes == ("x", "y") and config.action.fixed["z"] == config.workspace.low[2]
    assert config.camera.crop == (0.125, 0.0, 0.75, 1.0) and config.training["online_steps"] == 300
    latent, _ = Encoder(last(run)).encode(np.zeros((48, 48, 3), np.uint8))
    assert np.isfinite(Policy(last(run)).act(latent, latent)).all()
    for name in ("reconstructions", "imagined_goals", "learning_curve", "rollouts", "values"):
        assert (run / "pictures" / f"{name}.png").stat().st_size > 5000
    assert list((run / "tensorboard").iterdir())
    assert config.pictures is not None and config.pictures.missed > config.pictures.missed_colour > 0
    assert sum(file.stat().st_size for file in last(run).iterdir()) < 5_000_000


def test_same_seed_gives_the_same_tensors_and_another_seed_others(run: Path, tmp_path: Path) -> None:
    train(TrainArgs(out=tmp_path / "same", **TINY), gymnasium.make)
    train(TrainArgs(out=tmp_path / "other", seed=1, **TINY), gymnasium.make)
    assert same_tensors(last(run), last(tmp_path / "same"))
    assert not same_tensors(last(run), last(tmp_path / "other"))


def test_a_run_killed_in_every_phase_ends_as_if_it_had_not_been(run: Path, tmp_path: Path) -> None:
    """kill -9 while exploring, learning to see, rehearsing and practising: each costs less than one unit of work."""
    state, out = tmp_path / "state" / "state.safetensors", tmp_path

    def units() -> int:
        """Units of work that the state on disk holds."""
        if not state.exists():
            return 0
        header = state.read_bytes()
        metadata = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]
        return sum(json.loads(metadata["progress"]).values())

    for kill_at in (2, 4, 6, 10, None):
        before = units()
        process = start_training(train_tiny, out)
        while kill_at is not None and process.is_alive() and units() < kill_at:
            time.sleep(0.001)
        if kill_at is not None:
            assert process.is_alive(), "the run was over before it could be killed"
            process.kill()
        process.join(timeout=120)
        assert process.exitcode == (0 if kill_at is None else -signal.SIGKILL)
        if kill_at is not None:
            assert units() >= max(before, kill_at)
    assert same_tensors(last(run), last(out))


def test_no_latent_outlives_the_vae_that_made_it(tmp_path: Path) -> None:
    args = TrainArgs(out=tmp_path, **TINY)
    env = gymnasium.make(args.env)
    rig = Rig(args, box(args), 50, np.zeros((frames(args, 50), 48, 48, 3), np.uint8))
    tuned = []

    def report(log: dict[str, float]) -> None:
        if rig.episodes:
            size = rig.replay.size
            np.testing.assert_allclose(rig.replay.latents[:size], rig.representation.encode_all(rig.replay), atol=1e-5)
        if "vae/latents_moved" in log:
            tuned.append(log["vae/latents_moved"])

    rig.run(env, report)
    env.close()
    assert len(tuned) == 3 and min(tuned) > 1e-5


@pytest.mark.parametrize("implementation", ["fast", "readable"])
def test_a_saved_state_is_the_whole_state(tmp_path: Path, implementation: Implementation) -> None:
    args = TrainArgs(out=tmp_path, implementation=implementation, **TINY)
    env = gymnasium.make(args.env)
    images = np.zeros((frames(args, 50), 48, 48, 3), np.uint8)
    rig = Rig(args, box(args), 50, images)
    rig.run(env, lambda log: None)
    env.close()
    save_state(tmp_path, rig, {"note": 1})
    other = Rig(dataclasses.replace(args, seed=5), box(args), 50, images)
    load_state(tmp_path, other)
    assert load_notes(tmp_path) == {"note": 1}
    rng = [np.random.default_rng(0) for _ in range(2)]
    other.args = rig.args
    assert np.array_equal(rig.replay.goals, other.replay.goals)
    assert rig.fine_tune(rng[0]) == other.fine_tune(rng[1])
    assert [rig.learn(rng[0], step) for step in range(3)] == [other.learn(rng[1], step) for step in range(3)]


def test_going_on_with_other_arguments_is_refused_by_name(run: Path, tmp_path: Path) -> None:
    args = TrainArgs(out=tmp_path, **DRAWN)
    rig = Rig(args, box(args), 50, np.zeros((frames(args, 50), 48, 48, 3), np.uint8))
    (tmp_path / "state").mkdir()
    kept = {**json.loads((last(run) / "config.json").read_text())["training"], "gamma": 0.5}
    del kept["implementation"]  # as in a run of a version that did not have this argument yet
    save_state(tmp_path / "state", rig, {"args": kept, "history": []})
    with pytest.raises(ValueError, match=r"unfinished run with gamma 0\.5, not 0\.9: give"):
        train(args, gymnasium.make)
    del kept["rest_at_goal"]  # as in a run of a version whose policies did not rest at the goal
    save_state(tmp_path / "state", rig, {"args": kept | {"gamma": args.gamma}, "history": []})
    with pytest.raises(ValueError, match="unfinished run with rest_at_goal False, not True: give"):
        train(args, gymnasium.make)


def test_a_finished_run_is_not_changed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert train(TrainArgs(out=run, **DRAWN), gymnasium.make) == run / "history.json"
    assert "finished already" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}


def test_evaluation_repeats_what_training_measured(run: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    result = evaluate(EvalArgs(str(run / "checkpoints"), goals=2, json=tmp_path / "figures.json"), gymnasium.make)
    assert json.loads((tmp_path / "figures.json").read_text()) == result
    # Nodes and `rig eval` run the networks in numpy, training in torch: equal but for rounding.
    trained = read_config(run / "checkpoints").figures
    assert {key: result[key] for key in trained} == pytest.approx(trained, abs=0.1)
    assert [entry["seconds"] for entry in result["each"]] == [5.0, 5.0]
    assert result["mean_mm"] == pytest.approx(np.mean([entry["distance_mm"] for entry in result["each"]]), abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"beta": -1.0}, "beta is -1"),
        ({"future": 0.9}, r"future \+ imagined \+ replayed is 0\.9 \+"),
        ({"action_delay": (0.03, 0.0)}, "action_delay is"),
        ({"hidden": ()}, "hidden is"),
        ({"online_steps": 20}, "online_steps is 20, expected at least one episode of 50"),
        ({"gamma": float("nan")}, "gamma is nan"),
        ({"image_size": 8}, "image_size is 8"),
        ({"representation": "state"}, r"fine_tune_every is \d+, expected 0: no VAE"),
        ({"offline": Path("any")}, r"online_steps is \d+, expected 0"),
        ({"keep_exploration": False, "rehearsal_updates": 100}, "rehearsal_updates is 100, expected 0"),
        ({"online_steps": 0, "rehearsal_updates": 0}, "nothing would be learned"),
        (
            {"offline": Path("/no/where"), "online_steps": 0, "rehearsal_updates": 100},
            "/no/where is not a recorded buffer",
        ),
    ],
)
def test_a_bad_argument_is_named(tmp_path: Path, arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        train(TrainArgs(out=tmp_path, **arguments), gymnasium.make)


SMALL = {name: value for name, value in TINY.items() if name not in ("fine_tune_every", "fine_tune_updates")}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_by_the_same_algorithm_and_leaves_its_history(method: Method, tmp_path: Path) -> None:
    args = preset(
        method, out=tmp_path, **{**SMALL, "latent_size": 4, "fine_tune_every": 0, "warm_up": 0, "rehearsal_updates": 0}
    )
    history = json.loads(train(args, gymnasium.make).read_text())
    assert [(entry["step"], entry["samples"]) for entry in history] == [(150, 300), (300, 450)]
    assert history[-1]["goals"] == 2 and np.isfinite(history[-1]["mean_mm"])
    ends = np.load(tmp_path / "rollouts.npz")
    assert ends["goal"].shape == (2, 48, 48, 3) and ends["last_mm"].mean() == pytest.approx(
        history[-1]["mean_mm"], abs=0.01
    )
    # Only what a robot can see can go to a robot.
    assert (tmp_path / "checkpoints" / "current").exists() == method.startswith("rig")


def test_the_lecture_spelt_out_in_the_documentation_is_the_preset() -> None:
    text = (Path(__file__).parents[1] / "docs" / "learning.md").read_text()
    (spelt_out,) = re.findall(r"rig train (--out DIR --future 0 [^#\n]*)", text)
    given = tyro.cli(TrainArgs, args=shlex.split(spelt_out))
    assert dataclasses.replace(given, method="rig-lecture") == preset("rig-lecture", out=Path("DIR"))


@pytest.mark.parametrize(
    "changes",
    [{"imagined": 0.0, "practice_goals": "seen"}, {"future": 0.0}, {"representation": "latent", "calibration": 0.0}],
)
def test_what_rig_is_made_of_can_be_left_out(changes: dict, tmp_path: Path) -> None:
    args = preset("rig", out=tmp_path, **{**SMALL, "fine_tune_every": 0, "online_steps": 50, **changes})
    assert json.loads(train(args, gymnasium.make).read_text())[-1]["samples"] == 200


def test_offline_training_takes_no_step_and_is_the_same_as_exploring_itself(tmp_path: Path) -> None:
    record(ExploreArgs(tmp_path / "buffer", steps=150, seed=0), gymnasium.make)
    common = {**SMALL, "online_steps": 0, "fine_tune_every": 0}
    train(TrainArgs(out=tmp_path / "offline", offline=tmp_path / "buffer", **common), gymnasium.make)
    train(TrainArgs(out=tmp_path / "exploring", **common), gymnasium.make)
    assert json.loads((tmp_path / "offline" / "history.json").read_text())[-1]["samples"] == 150
    assert same_tensors(last(tmp_path / "offline"), last(tmp_path / "exploring"))
    with pytest.raises(ValueError, match=r"images are \(48, 48, 3\), expected \(32, 32, 3\)"):
        train(TrainArgs(out=tmp_path / "no", offline=tmp_path / "buffer", image_size=32, **common), gymnasium.make)


def test_a_checkpoint_of_the_original_draws_what_it_imagines_as_training_does(tmp_path: Path) -> None:
    """Its decoder ends in a sigmoid; the robot's copy of it (numpy) must, too."""
    args = preset("rig-2018", out=tmp_path, **{**SMALL, "online_steps": 50, "warm_up": 0, "rehearsal_updates": 0})
    train(args, gymnasium.make)
    encoder = Encoder(tmp_path / "checkpoints")
    assert encoder.config.vae.likelihood == "bernoulli"
    picture = encoder.decode(np.full(4, 50.0, np.float32))
    assert picture.dtype == np.uint8 and 0 < picture.mean() < 255


def test_a_finished_run_refuses_other_arguments_by_name(run: Path) -> None:
    with pytest.raises(ValueError, match=r"holds a run with gamma 0\.9, not 0\.5: give the same, or another directory"):
        train(TrainArgs(out=run, **DRAWN | {"gamma": 0.5}), gymnasium.make)


def test_a_finished_run_without_its_arguments_is_known_by_its_checkpoint(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "old", symlinks=True)
    (tmp_path / "old" / "args.json").unlink()
    with pytest.raises(ValueError, match=r"seed 0, not 3"):
        train(TrainArgs(out=tmp_path / "old", **DRAWN | {"seed": 3}), gymnasium.make)
    assert train(TrainArgs(out=tmp_path / "old", **DRAWN), gymnasium.make).exists()


def test_a_refused_run_leaves_its_directory_free(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="online_steps is 120"):
        train(TrainArgs(out=tmp_path, online_steps=120), gymnasium.make)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"online_steps": 120}, "online_steps is 120, expected whole episodes of 50 steps: 100 or 150"),
        ({"exploration_steps": 160}, "exploration_steps is 160, expected whole episodes of 50 steps: 150 or 200"),
        ({"rehearsal_updates": 250}, "rehearsal_updates is 250, expected whole units of 100 updates: 200 or 300"),
        ({"vae_updates": 40}, "vae_updates is 40, expected whole units of 25 updates: 25 or 50"),
    ],
)
def test_steps_that_would_not_be_taken_are_refused(tmp_path: Path, arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        train(TrainArgs(out=tmp_path, **arguments), gymnasium.make)
    with pytest.raises(ValueError, match="steps is 120, expected whole episodes"):
        record(ExploreArgs(out=tmp_path / "buffer", steps=120), gymnasium.make)


@pytest.mark.parametrize("wrong", ["Foo", "CartPole-v1", "no.module:Foo-v0"])
def test_an_environment_that_is_none_is_named(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"env is '{wrong}'.*RigSawyerReachXY-v0"):
        train(TrainArgs(out=tmp_path, env=wrong), environment)


def test_an_environment_that_is_not_learned_yet_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"RigSawyerPushXY-v0 has an `observation` of shape \(4,\), expected \(3,\)"):
        train(TrainArgs(out=tmp_path / "run", env="RigSawyerPushXY-v0"), gymnasium.make)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_is_evaluated_by_its_package_and_not_in_another_space() -> None:
    shipped = "package://rig_robot/models/sawyer_reach_xy"
    assert evaluate(EvalArgs(shipped, goals=1), gymnasium.make)["goals"] == 1
    with pytest.raises(ValueError, match=r"env is RigSawyerReachXYZ-v0, whose actions are \(3,\)"):
        evaluate(EvalArgs(shipped, goals=1, env="RigSawyerReachXYZ-v0"), gymnasium.make)
    for nowhere in ("package://rig_robot/nowhere", "package://no.package/x", "package://"):
        with pytest.raises(ValueError, match=nowhere):
            evaluate(EvalArgs(nowhere), gymnasium.make)


def test_the_bar_is_closed_before_the_result_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    few = {"fine_tune_every": 0, "exploration_steps": 50, "online_steps": 0, "rehearsal_updates": 100}
    train(TrainArgs(out=tmp_path, representation="state", **SMALL | few), gymnasium.make)
    out, bars = capfd.readouterr()
    assert out.startswith("2 goals: ") and "rehearse" in bars and bars.endswith("\n"), bars
