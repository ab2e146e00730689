"""Relabelled goals: the shares asked for, later latents from the same episode only, imagined ones from the prior."""

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_replay import filled

from rig_robot.learning.methods import preset
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.relabeling import Shares, relabel

IMAGINED = Prior(np.full(2, -100.0), np.zeros((2, 2)))
"""a prior that no frame can be taken for"""


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=8),
    st.tuples(*[st.integers(0, 10)] * 3).filter(lambda tenths: sum(tenths) <= 10),
    st.integers(1, 64),
    st.integers(0, 2**32),
)
def test_relabelled_goals_come_from_each_source_in_the_requested_share(
    lengths: list[int], tenths: tuple[int, int, int], size: int, seed: int
) -> None:
    rng, replay = np.random.default_rng(seed), filled(lengths)
    batch = replay.sample(rng, size)
    goals = relabel(rng, replay, batch, IMAGINED, Shares(*(tenth / 10 for tenth in tenths)))
    assert goals.shape == (size, 2) and goals.dtype == np.float32
    first, second, third = (round(size * share) for share in accumulate(tenth / 10 for tenth in tenths))
    own, now = goals[:first], batch.latents[:first]
    assert np.array_equal(own[:, 0], now[:, 0]) and (own[:, 1] > now[:, 1]).all()
    assert (goals[first:second] == -100).all()
    frames = {tuple(latent) for latent in replay.latents[: replay.size]}
    assert {tuple(goal) for goal in goals[second:third]} <= frames
    assert np.array_equal(goals[third:, 0], batch.latents[third:, 0]) and (goals[third:, 1] == -1).all()


def test_the_lecture_replaces_half_of_the_goals_by_imagined_ones_and_keeps_the_others() -> None:
    """RIG, Algorithm 1, line 12: (probability 0.5) replace z_g with z_g' ~ p(z)."""
    args = preset("rig-lecture", out=Path("unused"))
    assert not args.keep_exploration and not args.rehearsal_updates  # random steps have no z_g to keep
    rng, replay = np.random.default_rng(0), filled([5, 3])
    batch = replay.sample(rng, 1_000)
    shares = Shares(args.future, args.imagined, args.replayed, args.hindsight)
    goals = relabel(rng, replay, batch, IMAGINED, shares)
    imagined = (goals == -100).all(axis=1)
    assert imagined.sum() == 500
    assert (goals[~imagined] == replay.goals[replay.episode[batch.frames[~imagined]]]).all()
    # Which transitions those are is chance: every one is as likely to keep its goal.
    share = [imagined[batch.frames == frame].mean() for frame in np.unique(batch.frames)]
    assert np.abs(np.array(share) - 0.5).max() < 0.15


def test_every_later_frame_of_the_episode_is_drawn_equally_often() -> None:
    rng, replay = np.random.default_rng(0), filled([5])
    batch = replay.sample(rng, 50_000)
    goals = relabel(rng, replay, batch, IMAGINED, Shares(1.0, 0.0, 0.0))
    from_the_first = goals[batch.frames == 0, 1]
    found, counts = np.unique(from_the_first, return_counts=True)
    assert found.tolist() == [1, 2, 3, 4, 5]
    assert np.abs(counts / counts.mean() - 1).max() < 0.1


def test_prior_is_the_gaussian_of_the_latents() -> None:
    rng = np.random.default_rng(0)
    mean, covariance = np.array([1.0, -2.0]), np.array([[2.0, 0.6], [0.6, 0.5]])
    prior = Prior.fit(rng.multivariate_normal(mean, covariance, 100_000).astype(np.float32))
    assert prior.mean == pytest.approx(mean, abs=0.03) and prior.covariance == pytest.approx(covariance, abs=0.03)
    samples = prior.sample(rng, 100_000)
    assert np.cov(samples, rowvar=False) == pytest.approx(covariance, abs=0.05)


def test_a_latent_that_the_vae_does_not_use_does_not_stop_imagination() -> None:
    latents = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    latents[:, 1] = 0
    assert (Prior.fit(latents).sample(np.random.default_rng(0), 10)[:, 1] == 0).all()
