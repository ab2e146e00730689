"""Hindsight experience replay: what each strategy may choose, rewards that fit the new goals, bits that get flipped."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_replay import filled

from rig_robot.learning.baselines.bit_flipping import BitFlipping, reward
from rig_robot.learning.baselines.dqn import Dqn, DqnArgs, learn, play, sample
from rig_robot.learning.rl.relabeling import Strategy, hindsight_frames
from rig_robot.learning.rl.replay_buffer import ReplayBuffer

torch.set_num_threads(1)  # more fight with whatever else runs
LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=8).filter(any)


@settings(max_examples=60)
@given(LENGTHS, st.integers(0, 2**32))
def test_no_goal_comes_from_where_its_strategy_may_not_look(lengths: list[int], seed: int) -> None:
    rng, replay = np.random.default_rng(seed), filled(lengths)
    frames = replay.sample(rng, 200).frames
    episode, step = replay.latents[frames].T
    chosen = {name: hindsight_frames(rng, replay, frames, name) for name in ("final", "future", "episode", "random")}
    for name in ("final", "future", "episode"):
        assert np.array_equal(replay.latents[chosen[name]][:, 0], episode), name
    assert np.array_equal(replay.latents[chosen["final"]][:, 1], np.array(lengths)[episode.astype(int)])
    assert (replay.latents[chosen["future"]][:, 1] > step).all()
    assert ((chosen["random"] >= 0) & (chosen["random"] < replay.size)).all()


@pytest.mark.parametrize(
    ("strategy", "from_frame_5"),
    [("final", [7]), ("future", [6, 7]), ("episode", [4, 5, 6, 7]), ("random", list(range(10)))],
)
def test_every_frame_that_a_strategy_may_choose_is_chosen_equally_often(
    strategy: Strategy, from_frame_5: list[int]
) -> None:
    replay = filled([3, 3, 1])  # frame 5 is the second of the second episode, frames 4 to 7
    chosen = hindsight_frames(np.random.default_rng(0), replay, np.full(40_000, 5), strategy)
    found, counts = np.unique(chosen, return_counts=True)
    assert found.tolist() == from_frame_5
    assert np.abs(counts / counts.mean() - 1).max() < 0.1


def test_a_strategy_that_her_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="strategy is 'past', expected final, future, episode or random"):
        hindsight_frames(np.random.default_rng(0), filled([2]), np.array([0]), "past")  # type: ignore[arg-type]


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 2**32))
def test_a_game_is_won_by_flipping_the_bits_that_differ_and_then_stands_still(bits: int, games: int, seed: int) -> None:
    env = BitFlipping(bits, games)
    start, goal = env.reset(seed)
    differing = (start != goal).sum(axis=1)
    state = start
    for step in range(1, bits + 1):
        action = (state != goal).argmax(axis=1)
        state, rewards, terminated, truncated = env.step(action)
        assert np.array_equal((state != goal).sum(axis=1), np.maximum(differing - step, 0))
        assert np.array_equal(terminated, differing <= step) and np.array_equal(
            rewards, -(differing > step).astype(int)
        )
        assert truncated.any() == (step == bits and not terminated.all())
    assert env.over.all()


def test_a_game_that_is_not_won_ends_after_as_many_steps_as_bits() -> None:
    env = BitFlipping(4, 50)
    state, goal = env.reset(seed=0)
    won = (state == goal).all(axis=1)
    to_and_fro = (state == goal).argmax(axis=1)
    for step in range(4):
        _, _, terminated, truncated = env.step(to_and_fro)
        assert np.array_equal(terminated, won) and np.array_equal(truncated, ~won & (step == 3))


def played(args: DqnArgs) -> tuple[np.random.Generator, Dqn, ReplayBuffer]:
    torch.manual_seed(0)
    rng, learner = np.random.default_rng(0), Dqn(args)
    replay = ReplayBuffer(10_000, args.bits, 1, state_size=0)
    for _ in range(5):
        play(rng, learner, replay, args)
    return rng, learner, replay


def test_stored_actions_are_those_that_led_from_state_to_state_and_nothing_follows_a_goal() -> None:
    _, _, replay = played(DqnArgs(bits=3))
    rng = np.random.default_rng(1)
    batch = replay.sample(rng, 500)
    flipped = (batch.latents != batch.next_latents).astype(np.float32)
    assert np.array_equal(flipped, np.eye(3, dtype=np.float32)[batch.actions[:, 0].astype(int)])
    own = replay.goals[replay.episode[batch.frames]]
    assert (reward(batch.latents, own) == -1).all()
    assert (reward(batch.next_latents, own) == 0).any(), "three bits are met by chance: the test needs such games"


def test_rewards_are_those_of_the_new_goals_and_without_hindsight_goals_stay() -> None:
    args = DqnArgs(bits=30, batch=2_000)
    rng, _, replay = played(args)
    states, actions, rewards, next_states, goals = (part.numpy() for part in sample(rng, replay, args))
    assert np.array_equal(rewards, -(next_states != goals).any(axis=1).astype(int))
    given_goals = {tuple(goal) for goal in replay.goals}
    kept = np.array([tuple(goal) in given_goals for goal in goals])
    assert abs(kept.mean() - 1 / (args.k + 1)) < 0.03
    assert (rewards[~kept] == 0).any() and (rewards[kept] == -1).all()
    *_, goals = (part.numpy() for part in sample(rng, replay, DqnArgs(bits=30, strategy="none")))
    assert {tuple(goal) for goal in goals} <= given_goals
    assert actions.dtype == np.int64 and states.dtype == np.float32


def test_nothing_comes_after_a_goal_and_something_after_every_other_state() -> None:
    learner = Dqn(DqnArgs(bits=2, learning_rate=0.01))
    with torch.no_grad():
        for parameter in learner.target_network.parameters():
            parameter.zero_()
        list(learner.target_network.parameters())[-1].fill_(-10)
    state, goal = torch.zeros(2, 2), torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    following, rewards = torch.tensor([[0.0, 1.0]] * 2), torch.tensor([0.0, -1.0])
    for _ in range(500):
        learner.update(state, torch.tensor([1, 1]), rewards, following, goal)
    assert learner.network(state, goal)[:, 1].tolist() == pytest.approx([0, -1 + 0.98 * -10], abs=0.1)


@pytest.mark.slow
def test_fifteen_bits_are_solved_with_hindsight_and_not_without() -> None:
    ends = {
        strategy: list(learn(DqnArgs(bits=15, cycles=30, strategy=strategy)))[-1].success
        for strategy in ("future", "none")
    }
    assert ends["future"] > 0.9 and ends["none"] < 0.1, ends
