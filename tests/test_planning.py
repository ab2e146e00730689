"""Learning in a model: what the model knows, what the policy makes of it, and the run that pushes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from training_process import start_training

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.inference.contact_seeking import ContactSeeking
from rig_robot.inference.places import Places
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.planning.dynamics import BY_HAND, NEAR, Dynamics, DynamicsTrainer, contacts, lessons
from rig_robot.learning.planning.push_learner import PushLearner, frames
from rig_robot.learning.planning.rollouts import imagine, moments
from rig_robot.learning.planning.value_gradients import ValueGradients
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.learning.rl.reward import weighted_reward
from rig_robot.learning.training.push import train_push

REACH = [9.0, 12.0]
TINY: dict[str, Any] = {
    "representation": "positions",
    "exploration_steps": 200,
    "online_steps": 200,
    "members": 2,
    "model_hidden": 16,
    "model_updates": 100,
    "episode_model_updates": 5,
    "hidden": (16,),
    "batch": 16,
    "rehearsal_updates": 100,
    "updates": 5,
    "finishing_updates": 100,
    "evaluate_every": 100,
    "evaluation_goals": 1,
    "final_goals": 2,
}


def dynamics(objects: int = 1) -> Dynamics:
    torch.manual_seed(0)
    return Dynamics(REACH, objects, members=3, hidden=32)


def buffer(latents: np.ndarray, actions: np.ndarray) -> ReplayBuffer:
    replay = ReplayBuffer(len(latents), latents.shape[1], actions.shape[1])
    replay.start(latents[0])
    for action, latent in zip(actions, latents[1:], strict=True):
        replay.append(action, latent)
    return replay


def wandering(steps: int, objects: int = 0) -> ReplayBuffer:
    """A tool that does what it is told, between walls, and objects that nobody touches."""
    rng = np.random.default_rng(0)
    places = np.zeros((steps + 1, 2), np.float32)
    actions = rng.uniform(-1, 1, (steps // 5, 2)).repeat(5, axis=0).astype(np.float32)
    for step, action in enumerate(actions):
        places[step + 1] = np.clip(places[step] + action, -np.array(REACH), REACH)
    still = np.tile(np.array([5.0, 5.0], np.float32), (steps + 1, objects))
    return buffer(np.concatenate((places, still), axis=1), actions)


def test_the_model_knows_the_walls_and_objects_out_of_reach_before_it_has_learned_anything() -> None:
    model = dynamics()
    at_the_wall = torch.tensor([[9.0, 0.0, 3.0, 0.0]])
    before, outwards = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    assert model.inputs(at_the_wall, before, outwards)[0, -2:].tolist() == [0.0, 0.0]
    far = torch.tensor([[0.0, 0.0, NEAR + 0.1, 0.0], [0.0, 0.0, NEAR - 0.1, 0.0]])
    moved = model(far, before.repeat(2, 1), outwards.repeat(2, 1), 0) - far
    assert (moved[0, 2:] == 0).all() and (moved[1, 2:] != 0).any()


def test_what_was_learned_of_a_push_holds_at_every_other_place() -> None:
    model, step = dynamics(), torch.tensor([[0.5, -0.5]])
    here, there = torch.tensor([[0.0, 0.0, 2.0, 1.0]]), torch.tensor([[-3.0, 4.0, -1.0, 5.0]])
    zero = torch.zeros(1, 2)
    torch.testing.assert_close(model(here, zero, step, 1) - here, model(there, zero, step, 1) - there)


def test_every_member_of_the_model_learns_where_the_tool_goes() -> None:
    model, replay = dynamics(objects=0), wandering(400)
    asked = (torch.tensor([[1.0, 2.0]]), torch.tensor([[0.4, -0.2]]), torch.tensor([[0.4, -0.2]]))
    DynamicsTrainer(model, 1e-2).fit(replay, 300, 60, np.random.default_rng(0))
    assert all((model(*asked, member) - torch.tensor([[1.4, 1.8]])).norm() < 0.05 for member in range(3))


def test_gradients_pass_through_the_model_and_leave_it_as_it_is() -> None:
    model = dynamics()
    latent = torch.tensor([[0.0, 0.0, 2.0, 1.0]], requires_grad=True)
    model(latent, torch.zeros(1, 2), torch.zeros(1, 2), 0).square().sum().backward()
    assert latent.grad is not None and latent.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_was_moved_by_hand_is_no_lesson() -> None:
    replay = wandering(20, objects=1)
    replay.latents[10:, 2:] += BY_HAND + 0.1
    assert 9 not in lessons(replay, 2) and {8, 10} <= set(lessons(replay, 2))
    replay.latents[10:, 2:] = [5.0, 5.0 - 0.5]
    near, pushed = contacts(replay, lessons(replay, 2), 2)
    assert set(pushed) <= set(near) and (set(pushed) == {9} or 9 not in near)


def test_imagined_places_are_in_the_box_and_no_thing_stands_in_another() -> None:
    rng = np.random.default_rng(0)
    seen = rng.uniform(-5, 5, (2000, 4)).astype(np.float32)
    seen = seen[np.linalg.norm(seen[:, :2] - seen[:, 2:], axis=1) > 3]
    places = Places.fit(seen, np.array(REACH, np.float32))
    drawn = places.sample(rng, 500)
    assert (np.abs(drawn[:, :2]) <= REACH).all() and (np.abs(drawn[:, 2:]) <= 5).all()
    assert np.linalg.norm(drawn[:, :2] - drawn[:, 2:], axis=1).min() >= 3
    beside = places.beside(rng, drawn, 1.0)
    gaps = np.linalg.norm(beside[:, :2] - beside[:, 2:], axis=1)
    assert gaps.max() <= places.apart + 1 + 1e-4 and (beside[:, 2:] == drawn[:, 2:]).all()


def test_an_object_counts_more_than_the_tool_and_the_tool_counts_alone_without_one() -> None:
    goal = torch.zeros(1, 4)
    tool_off, object_off = torch.tensor([[3.0, 4.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 3.0, 4.0]])
    assert weighted_reward(tool_off, goal, 2, 0.2).item() == pytest.approx(-1)
    assert weighted_reward(object_off, goal, 2, 0.2).item() == pytest.approx(-5)
    assert weighted_reward(tool_off[:, :2], goal[:, :2], 2, 0.2).item() == pytest.approx(-5)


@pytest.mark.parametrize("rests", [True, False])
def test_a_checkpoint_s_actor_does_what_the_learned_one_does(rests: bool) -> None:
    agent = ValueGradients(dynamics(), (32, 32), 3, 0.9, 0.2, 1e-3, rests)
    actor = Actor(4, 2, (32, 32), rest_at_goal=rests)
    actor.load_state_dict(agent.actor.folded())
    latent, goal = torch.randn(2, 50, 4).mul(5).unbind()
    torch.testing.assert_close(actor(latent, goal), agent.actor(latent, goal), atol=1e-5, rtol=1e-4)


def test_reaching_is_learned_in_a_model_too() -> None:
    """The same code without an object: after 300 steps of the robot, the tool ends at imagined goals."""
    replay, rng = wandering(300), np.random.default_rng(0)
    model = dynamics(objects=0)
    DynamicsTrainer(model, 1e-2).fit(replay, 200, 60, rng)
    agent = ValueGradients(model, (32, 32), 5, 0.9, 1.0, 3e-3)
    places = Places.fit(replay.latents[: replay.size], np.array(REACH, np.float32))
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        rollouts = imagine(agent, model, replay, places, 64, rng)
        for _ in range(40):
            agent.update(model, moments(rollouts, 64, 0.5, rng), 0, generator)
    tool, goal = map(torch.from_numpy, places.sample(rng, 200).reshape(2, 100, 2))
    start = (tool - goal).norm(dim=1).mean()
    for _ in range(40):
        tool = (tool + agent.actor(tool, goal)).clamp(-torch.tensor(REACH), torch.tensor(REACH))
    assert (tool - goal).norm(dim=1).median() < 0.1 * start


def test_moments_after_an_object_was_lost_are_not_learned_from() -> None:
    replay = wandering(100, objects=1)
    replay.latents[: replay.size, 2:] += np.random.default_rng(0).uniform(-1, 1, (replay.size, 2))
    agent = ValueGradients(dynamics(), (8,), 3, 0.9, 0.2, 1e-3)
    places = Places.fit(replay.latents[: replay.size], np.array(REACH, np.float32))
    rollouts = imagine(agent, dynamics(), replay, places, 50, np.random.default_rng(0))
    lost = rollouts._replace(live=torch.zeros_like(rollouts.live))
    assert len(moments(lost, 40, 0.5, np.random.default_rng(0)).goal) == 0
    kept = rollouts._replace(live=torch.ones_like(rollouts.live))
    found = moments(kept, 40, 0.0, np.random.default_rng(0))
    assert found.latent.shape == (40, 4)
    assert all((rollouts.goals == goal).all(dim=1).any() for goal in found.goal)


def test_contact_seeking_touches_the_object_many_times_as_often_as_chance() -> None:
    env: Any = gymnasium.make("RigSawyerPushXY-v0").unwrapped
    args = PushArgs(out=Path("unused"), **TINY)
    images = np.zeros((frames(args, 100), 48, 48, 3), np.uint8)
    learner = PushLearner(args, ActionBox.of_environment(env), 1, 100, images)

    def touched(aimed: float) -> int:
        rng = np.random.default_rng(0)
        latent = learner.tracker.encode(env.reset(seed=0)[0])
        reach = np.array(REACH, np.float32)
        puck = np.array([5.5, 8.5], np.float32)
        places = Places(np.append(-reach, -puck), np.append(reach, puck), 3.2, 2)
        seeking, count = ContactSeeking(places, aimed), 0
        for _ in range(600):
            after = learner.tracker.encode(env.step(seeking.action(latent, rng))[0])
            count += int(np.linalg.norm(after[2:] - latent[2:]) > 0.05)
            latent = after
        return count

    often, seldom = touched(0.8), touched(0.0)
    env.close()
    assert often > 2 * seldom


def push_tiny(out: Path) -> None:
    train_push(PushArgs(out=out, **TINY), gymnasium.make)


def figures(out: Path) -> list[dict]:
    kept = json.loads((out / "history.json").read_text())
    return [{name: value for name, value in entry.items() if "seconds" not in name} for entry in kept]


def test_a_run_that_is_killed_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    push_tiny(tmp_path / "whole")
    assert [entry["step"] for entry in figures(tmp_path / "whole")] == [100, 200, 200]
    assert (tmp_path / "whole" / "pictures" / "rollouts.png").stat().st_size > 5000

    out = tmp_path / "killed"
    for alive in (2, 4, 6, None):
        process = start_training(push_tiny, out)
        state = out / "state" / "state.safetensors"
        while alive is not None and process.is_alive() and units(state) < alive:
            time.sleep(0.001)
        if alive is not None:
            process.kill()
        process.join(timeout=120)
        assert process.exitcode == (0 if alive is None else -signal.SIGKILL)
    assert figures(out) == figures(tmp_path / "whole")
    with pytest.raises(ValueError, match=r"holds a run with gamma 0.97, not 0.5"):
        train_push(PushArgs(out=out, gamma=0.5, **TINY), gymnasium.make)
    file = out / "args.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in kept.items() if name != "rest_at_goal"}))  # an older run
    with pytest.raises(ValueError, match="rest_at_goal False, not True"):
        train_push(PushArgs(out=out, **TINY), gymnasium.make)


def units(state: Path) -> int:
    """Units of work that the state on disk holds."""
    if not state.exists():
        return 0
    header = state.read_bytes()
    metadata = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]
    return sum(json.loads(metadata["progress"]).values())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"gamma": 1.5}, "gamma is 1.5, expected 0 to 1"),
        ({"hidden": ()}, "hidden is ()"),
        ({"action_delay": (0.5, 0.1)}, "action_delay is (0.5, 0.1)"),
        ({"online_steps": 150}, "online_steps is 150, expected whole episodes of 100 steps: 100 or 200"),
        ({"model_updates": 50}, "model_updates is 50, expected at least one unit of 100 updates"),
        ({"env": "RigSawyerReachXY-v0"}, "its goals are of shape (3,), expected places of tool and objects"),
    ],
)
def test_a_bad_argument_is_named(tmp_path: Path, arguments: dict, named: str) -> None:
    with pytest.raises(ValueError) as error:
        train_push(PushArgs(out=tmp_path / "run", **(TINY | arguments)), gymnasium.make)
    assert named in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--task", "push", "--gamma", "3"], "gamma is 3.0, expected 0 to 1"),
        (["--task=push", "--method", "rig"], "--method"),
        (["--task", "pull"], "pull"),
        (["--task", "reach", "--aimed", "0.5"], "--aimed"),
    ],
)
def test_the_command_line_names_what_is_wrong_for_the_task(given: list[str], said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rig_robot.cli", "train", "--out", str(tmp_path / "run"), *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and said in done.stderr + done.stdout and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
