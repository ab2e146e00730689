"""Learning on the robot, without ROS: from nothing or a checkpoint, episode by episode, also when killed anywhere."""

import dataclasses
import pickle
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from training_process import start_training

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.checkpoints.checkpoint import activate, read_config, resolve
from rig_robot.checkpoints.config import ActionEntry, CameraEntry, CheckpointError, WorkspaceEntry
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint_io import untrained as blank
from rig_robot.learning.practice import acceptance_criteria as criteria
from rig_robot.learning.practice.candidate_evaluation import CandidateEvaluation
from rig_robot.learning.practice.frame_store import FrameStore, read_buffer
from rig_robot.learning.practice.learner import Interrupted, Learner
from rig_robot.learning.practice.phases import ViewKnowledge
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.learning.training.training_state import STATE_FILE
from rig_robot.recording.transitions import Segment

CAMERA = CameraEntry(640, 480, (0.125, 0.0, 0.75, 1.0), 48)
ACTION = ActionEntry(("x", "y"), 0.02, 0.1, {"z": 0.2}, (0.0, 1.0, 0.0, 0.0))
WORKSPACE = WorkspaceEntry((0.45, -0.2, 0.2), (0.75, 0.2, 0.2))
TINY = {"channels": (4, 8, 8), "hidden": (32, 32), "batch": 32, "vae_batch": 8, "vae_updates": 150}
TINY |= {"rehearsal_updates": 200, "vae_learning_rate": 5e-3, "beta": 1.0}
SETTINGS = Settings(exploration_steps=200, tune_updates=20, refit_updates=50, capacity=2000)
EPISODE = 25


def untrained(root: Path, **changes) -> Path:
    return blank.create(root / "untrained", CAMERA, ACTION, WORKSPACE, TrainArgs(out=root, **changes))


def test_the_untrained_checkpoint_loads_like_any_other_and_says_that_it_knows_nothing(tmp_path: Path) -> None:
    directory = untrained(tmp_path)
    config = read_config(directory)
    assert config.training["samples"] == 0 and (config.camera, config.action) == (CAMERA, ACTION)
    latent, _ = Encoder(directory).encode(np.zeros((48, 48, 3), np.uint8))
    assert np.isfinite(Policy(directory).act(latent, latent)).all()
    before = (directory / "config.json").read_bytes()
    assert untrained(tmp_path) == directory, "a kill may have come before it was made current: it is asked for again"
    assert (directory / "config.json").read_bytes() == before
    (directory / "vae.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"vae\.safetensors"):
        untrained(tmp_path)


def test_an_untrained_checkpoint_that_would_not_fit_the_camera_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="image_size is 64, expected 48"):
        untrained(tmp_path, image_size=64)


@pytest.fixture(autouse=True)
def familiar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every view as familiar: a VAE trained for a second knows none. Unfamiliar views have tests of their own."""
    monkeypatch.setattr(CandidateEvaluation, "knows_view", lambda *_: True)


@pytest.fixture(scope="module")
def recorded() -> list[Segment]:
    """Return episodes of random steps in the simulation, as the recorder would write them."""
    env = gymnasium.make("RigSawyerReachXY-v0", action_delay=(0.02, 0.09))
    rng = np.random.default_rng(0)
    segments = []
    for _ in range(20):
        seen = [env.reset(seed=int(rng.integers(2**30)))[0]]
        actions = np.repeat(rng.uniform(-1, 1, (EPISODE // 8 + 1, 2)), 8, axis=0)[: EPISODE - 1].astype(np.float32)
        seen += [env.step(action)[0] for action in actions]
        images = np.stack([observation["image"] for observation in seen])
        positions = np.stack([observation["observation"] for observation in seen]).astype(np.float32)
        segments.append(Segment(images, actions, positions, np.arange(EPISODE, dtype=np.int64), None))
    env.close()
    return segments


class Practice:
    """A learner with its directories; keeps its messages and the checkpoints that it wanted to publish."""

    def __init__(self, directory: Path, settings: Settings = SETTINGS, start: Path | None = None) -> None:
        self.work, self.root, self.settings = directory / "trainer", directory / "checkpoints", settings
        if not (self.root / "current").exists():
            activate(start or untrained(self.root, **TINY))
        self.said: list[str] = []
        self.published: list[str] = []
        self.learner = Learner(self.work, self.root, settings, self.said.append)

    def take(self, segments: list[Segment], explored: bool, first: int = 0) -> None:
        for number, segment in enumerate(segments):
            self.learner.take(f"episode-{first + number:03d}", [segment], explored)

    def finish(self, until: Callable[[Learner], bool] = lambda learner: False) -> None:
        """Let the learner work until nothing is due, and accept all candidates."""
        learner = self.learner
        while not until(learner):
            if learner.candidate is not None:
                self.published.append(learner.candidate.name)
                activate(learner.candidate)
                learner.settle(True)
            elif not learner.work_once():
                return

    def again(self) -> "Practice":
        """Return the learner after a kill: it has only what is on disk."""
        self.learner.close()
        other = Practice(self.work.parent, self.settings)
        other.published = self.published
        return other


def bytes_of(checkpoint: Path) -> bytes:
    return (checkpoint / "vae.safetensors").read_bytes() + (checkpoint / "policy.safetensors").read_bytes()


def test_from_nothing_it_waits_for_exploration_then_publishes_then_learns_from_practice(
    tmp_path: Path, recorded: list[Segment]
) -> None:
    practice = Practice(tmp_path)
    learner = practice.learner
    practice.take(recorded[:7], explored=True)
    practice.finish()
    assert learner.progress().phase == "waiting" and learner.progress().explore == "wanted" and not practice.published
    assert learner.progress().step == 7 * EPISODE

    practice.take(recorded[7:9], explored=True, first=7)
    practice.finish()
    assert practice.published == ["practice-000225"], practice.said
    assert learner.progress().explore == "enough"
    first = read_config(practice.root)
    assert first.parent == "untrained" and first.trained and first.training["samples"] == 225
    assert first.figures["active_units"] >= 2 and first.scene is not None and first.pictures is not None
    latent, _ = Encoder(practice.root).encode(recorded[0].images[0])
    assert np.isfinite(Policy(practice.root).act(latent, latent)).all()

    before = learner.notes.updates
    practice.take(recorded[9:11], explored=False, first=9)
    practice.finish()
    assert learner.notes.updates - before == 2 * (EPISODE - 1) * 4 and len(practice.published) == 1
    practice.take(recorded[11:14], explored=False, first=11)
    learner.settings = dataclasses.replace(SETTINGS, fine_tune_every=5)
    practice.finish()
    assert learner.notes.since_tuned == 0 and learner.progress().phase == "waiting"
    assert len(practice.published) == 2 or "not published" in practice.said[-1]
    learner.close()


def test_every_tenth_episode_is_held_out_and_never_learned_from(tmp_path: Path, recorded: list[Segment]) -> None:
    practice = Practice(tmp_path)
    practice.take(recorded[:14], explored=True)
    replay, held_out = practice.learner.state.rig.replay, practice.learner.state.held_out.replay
    assert len(replay.first) == 12 and len(held_out.first) == 2
    learned = {image.tobytes() for image in replay.images[: replay.size]}
    assert not learned & {image.tobytes() for image in np.concatenate((recorded[2].images, recorded[12].images))}
    np.testing.assert_array_equal(held_out.images[: held_out.size : EPISODE][1], recorded[12].images[0])
    assert replay.actions[EPISODE - 1].tolist() == [0, 0], "no action leads from one episode to the next"


def test_after_any_unit_a_restart_goes_on_to_the_same_bytes(tmp_path: Path, recorded: list[Segment]) -> None:
    def story(directory: Path, restart: bool) -> Practice:
        practice = Practice(directory)
        for number, segment in enumerate(recorded[:15]):
            practice.learner.take(f"{number}", [segment], explored=number < 9)
            while practice.learner.due() or practice.learner.candidate:
                done = 0

                def one(learner: Learner, seen: list[int] = [done]) -> bool:  # noqa: B006
                    seen[0] += 1
                    return seen[0] > 1

                practice.finish(one)
                practice = practice.again() if restart else practice
        return practice

    undisturbed, restarted = story(tmp_path / "one", False), story(tmp_path / "other", True)
    assert undisturbed.published == restarted.published and len(restarted.published) >= 1
    for name in restarted.published:
        assert bytes_of(undisturbed.root / name) == bytes_of(restarted.root / name)
    first, second = undisturbed.learner.state.rig.td3.state_dict(), restarted.learner.state.rig.td3.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def learn_all(directory: Path) -> None:
    """Take all segments that were not taken yet, and work until nothing is due."""
    CandidateEvaluation.knows_view = lambda *_: True
    learner = Learner(directory / "trainer", directory / "checkpoints", SETTINGS)
    segments = pickle.loads((directory / "segments").read_bytes())
    for number, segment in enumerate(segments):
        if str(number) not in learner.taken:
            learner.take(str(number), [segment], number < 9)
    while learner.due() or learner.candidate:
        if learner.candidate is not None:
            activate(learner.candidate)
            learner.settle(True)
        learner.work_once()


def test_killed_at_random_moments_it_never_publishes_anything_broken_and_gets_to_the_end(
    tmp_path: Path, recorded: list[Segment]
) -> None:
    root = tmp_path / "checkpoints"
    activate(untrained(root, **TINY))
    (tmp_path / "segments").write_bytes(pickle.dumps(recorded[:15]))
    rng, kills, state = np.random.default_rng(0), 0, tmp_path / "trainer" / STATE_FILE
    while True:
        process = start_training(learn_all, tmp_path)
        changed = state.stat().st_mtime_ns if state.exists() else 0
        while process.is_alive() and (not state.exists() or state.stat().st_mtime_ns == changed):
            time.sleep(0.002)  # it has not come to work yet
        if kills < 4:
            time.sleep(rng.uniform(0, 0.5))
            process.kill()
            kills += 1
        process.join(timeout=120)
        for checkpoint in (path for path in root.iterdir() if not path.name.startswith(".")):
            read_config(checkpoint)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    learner = Learner(tmp_path / "trainer", root, SETTINGS)
    assert learner.taken == {str(number) for number in range(15)} and learner.progress().phase == "waiting"
    assert read_config(root).trained


def test_a_damaged_state_is_set_aside_and_rebuilt_from_the_episodes(tmp_path: Path, recorded: list[Segment]) -> None:
    practice = Practice(tmp_path)
    practice.take(recorded[:9], explored=True)
    practice.finish()
    state = practice.work / STATE_FILE
    state.write_bytes(state.read_bytes()[:1000])
    practice = practice.again()
    assert "set aside" in practice.said[0] and not practice.learner.taken
    assert practice.learner.progress().checkpoint == "practice-000225", "what was published goes on"
    practice.take(recorded[:9], explored=True)
    assert len(practice.learner.state.rig.replay.first) == 8
    assert practice.learner.state.rig.replay.latents[:EPISODE].any(), "encoded by the VAE that was published"


def shipped(root: Path) -> Path:
    """Return a copy of the trained checkpoint of a plain VAE."""
    return Path(shutil.copytree(Path(__file__).parent / "data" / "plain_vae", root / "shipped"))


def test_a_trained_checkpoint_is_gone_on_from_with_its_weights_and_its_calibration(
    tmp_path: Path, recorded: list[Segment]
) -> None:
    settings = dataclasses.replace(SETTINGS, tune_updates=10, refit_updates=20)
    practice = Practice(tmp_path, settings, shipped(tmp_path / "checkpoints"))
    learner, directory = practice.learner, practice.root / "shipped"
    latent, goal = (Encoder(directory).encode(image)[0] for image in recorded[0].images[:2])
    np.testing.assert_allclose(learner.state.rig.act(latent, goal), Policy(directory).act(latent, goal), atol=1e-5)
    assert learner.state.rig.td3.target_critics.state_dict().keys() == learner.state.rig.td3.critics.state_dict().keys()
    same = zip(
        learner.state.rig.td3.critics.parameters(), learner.state.rig.td3.target_critics.parameters(), strict=True
    )
    assert all(torch.equal(one, other) for one, other in same)

    practice.take(recorded, explored=False)
    replay = learner.state.rig.replay
    moves = learner.state.vae.calibration.moves.detach().numpy()
    z, states = replay.latents, replay.states
    still = [e * EPISODE + t for e in range(len(replay.first)) for t in range(8)]
    # by the latents themselves: how they went as the arm went, per action of 2 cm
    places = np.c_[states[still][:, :2] / 0.02, np.ones(len(still))]
    found = np.linalg.lstsq(places, z[still], rcond=None)[0][:2]
    cosines = (found.T * moves).sum(axis=0) / np.linalg.norm(found.T, axis=0) / np.linalg.norm(moves, axis=0)
    assert (cosines > 0.9).all(), f"{moves} {found.T}"


def test_a_vae_that_moves_takes_the_policy_and_all_latents_with_it(tmp_path: Path, recorded: list[Segment]) -> None:
    practice = Practice(tmp_path)
    practice.take(recorded[:9], explored=True)
    practice.finish()
    practice.take(recorded[9:14], explored=False, first=9)
    learner = practice.learner
    actor = learner.state.rig.td3.actor.state_dict()["layers.0.weight"].clone()
    practice.finish(lambda learner: learner.candidate is not None or learner.notes.phase == "judging")
    replay = learner.state.rig.replay
    now = learner.state.rig.representation.encode_all(replay)
    np.testing.assert_allclose(replay.latents[: replay.size], now, atol=1e-5)
    np.testing.assert_allclose(learner.state.rig.prior.mean, Prior.fit(now).mean, atol=1e-5)
    assert not torch.equal(actor, learner.state.rig.td3.actor.state_dict()["layers.0.weight"])


def test_a_worse_pair_is_not_published_and_the_present_one_goes_on(
    tmp_path: Path, recorded: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = Practice(tmp_path)
    practice.take(recorded[:9], explored=True)
    practice.finish()
    learner = practice.learner
    before = {name: tensor.clone() for name, tensor in learner.state.vae.state_dict().items()}
    latents = learner.state.rig.replay.latents[: learner.state.rig.replay.size].copy()
    learner.fine_tune()
    practice.finish(lambda learner: learner.notes.phase == "judging")
    with torch.no_grad():
        learner.state.vae.vae.controllable.head[-1].weight.zero_()  # it says the same of every picture
    practice.finish()
    assert practice.published == ["practice-000225"] and "collapsed" in practice.said[-1]
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.state.vae.state_dict().items())
    np.testing.assert_allclose(learner.state.rig.replay.latents[: learner.state.rig.replay.size], latents, atol=1e-5)

    # and one that the running system refuses
    learner.fine_tune()
    practice.finish(lambda learner: learner.candidate is not None)
    learner.settle(False, "the policy node refused it")
    practice.finish()
    assert "practice-000225 goes on" in practice.said[-1] and learner.progress().checkpoint == "practice-000225"
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.state.vae.state_dict().items())


def test_after_a_roll_back_it_goes_on_from_the_checkpoint_that_was_chosen(
    tmp_path: Path, recorded: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(criteria, "ANGLE_MARGIN_DEG", 180.0)
    practice = Practice(tmp_path)
    practice.take(recorded[:9], explored=True)
    practice.finish()
    first = resolve(practice.root)
    practice.take(recorded[9:12], explored=False, first=9)
    practice.learner.fine_tune()
    practice.finish()
    assert len(practice.published) == 2
    activate(first)
    assert practice.learner.work_once()
    assert "made the current one" in practice.said[-1] and practice.learner.progress().checkpoint == first.name
    practice.finish()
    vae = Encoder(first)
    replay = practice.learner.state.rig.replay
    np.testing.assert_allclose(replay.latents[5], vae.encode(replay.images[5])[0], atol=1e-4)


def test_a_view_that_a_trained_vae_does_not_know_is_explored_and_learnt_with_the_same_moves(
    tmp_path: Path, recorded: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(SETTINGS, relearn_steps=8 * EPISODE, relearn_updates=50)
    practice = Practice(tmp_path, settings, shipped(tmp_path / "checkpoints"))
    learner = practice.learner
    state = learner.state
    state.args = dataclasses.replace(state.args, rehearsal_updates=200)
    monkeypatch.setattr(CandidateEvaluation, "knows_view", lambda *_: False)
    practice.take(recorded[:1], explored=False)
    assert learner.progress().explore == "wanted" and "not what the VAE knows" in practice.said[-1]
    assert not learner.due() and learner.notes.owed == 0, "nothing is learned from latents that mean nothing"
    moves = learner.state.vae.calibration.moves.clone()
    practice.take(recorded[1:14], explored=True, first=1)
    assert learner.due() and learner.progress().explore == "enough"
    practice.finish()
    assert torch.equal(learner.state.vae.calibration.moves, moves)
    assert practice.published or "not published" in practice.said[-1]
    assert learner.progress().phase == "waiting" and learner.notes.knows is ViewKnowledge.GIVEN_UP
    practice.take(recorded[14:17], explored=False, first=14)
    assert learner.progress().explore == "enough", "what could not be learnt once is not tried for ever"


def test_giving_up_a_fine_tuning_keeps_what_was_learned_before(tmp_path: Path, recorded: list[Segment]) -> None:
    practice = Practice(tmp_path)
    practice.take(recorded[:9], explored=True)
    practice.finish()
    before = {name: tensor.clone() for name, tensor in practice.learner.state.rig.td3.state_dict().items()}
    practice.learner.fine_tune()
    practice.finish(lambda learner: learner.notes.phase == "judging")
    after = practice.learner.state.rig.td3.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    practice.learner.give_up()
    practice.finish()
    assert practice.learner.progress().phase == "waiting" and len(practice.published) == 1
    after = practice.learner.state.rig.td3.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_pairs_are_measured_by_the_best_so_far_so_that_small_losses_do_not_add_up(
    tmp_path: Path, recorded: list[Segment]
) -> None:
    learner = Practice(tmp_path).learner
    for mean, best in ((4.0, 4.0), (4.9, 4.0), (3.0, 3.0)):
        notes = learner.notes
        notes.candidate, notes.found = "practice-1", {"goals": 30, "mean_mm": mean}
        learner.settle(True)
        assert learner.notes.figures["mean_mm"] == best


def test_judging_by_reaching_can_be_broken_off_and_is_done_again(tmp_path: Path, recorded: list[Segment]) -> None:
    settings = dataclasses.replace(SETTINGS, environment="rig_sim:RigSawyerReachXY-v0", judge_goals=1)
    practice = Practice(tmp_path, settings)
    practice.take(recorded[:9], explored=True)
    practice.finish(lambda learner: learner.notes.phase == "judging")
    practice.learner.interrupt = lambda: True
    with pytest.raises(Interrupted):
        practice.learner.work_once()
    practice.learner.interrupt = lambda: False
    practice.finish()
    assert practice.published == ["practice-000225"]
    assert {"mean_mm", "held_out_loss", "active_units"} <= read_config(practice.root).figures.keys()
    practice.learner.close()


def test_a_full_buffer_forgets_the_oldest_practice_and_keeps_the_rest_of_the_pictures(
    tmp_path: Path, recorded: list[Segment]
) -> None:
    store = FrameStore(tmp_path, "frames", 0, (400, 48, 48, 3))
    replay = ReplayBuffer(400, 4, 2, store.images)
    store.hold(replay)
    keep = 0
    for number, segment in enumerate(recorded):
        keep = store.add([segment], keep)
        keep += number < 4
    assert store.generation >= 1 and replay.size <= 400
    for episode in range(keep):
        assert any((replay.images[replay.first[episode]] == one.images[0]).all() for one in recorded[:4])
    newest = slice(replay.first[-1], replay.size)
    np.testing.assert_array_equal(replay.images[newest], recorded[-1].images)
    np.testing.assert_array_equal(replay.actions[newest][:-1], recorded[-1].actions)
    assert (replay.episode[newest] == len(replay.first) - 1).all()
    store.remove_old_files()
    assert [file.name for file in tmp_path.iterdir()] == [f"frames-{store.generation}.npy"]
    with pytest.raises(ValueError, match="room for 400"):
        store.add(recorded[:10])


def test_earlier_data_are_explored_and_pictures_of_elsewhere_are_seen_but_calibrate_nothing(
    tmp_path: Path, recorded: list[Segment]
) -> None:
    from rig_robot.learning.arguments import ExploreArgs
    from rig_robot.learning.training.train import record

    record(ExploreArgs(out=tmp_path / "old", steps=100), gymnasium.make)
    segments = read_buffer(tmp_path / "old", 48, 2)
    assert [len(segment.actions) for segment in segments] == [50, 50]
    practice = Practice(tmp_path)
    learner = practice.learner
    learner.recall("old", segments)
    assert learner.state.rig.explored == 2 and learner.progress().step == 102
    practice.take(recorded[:5], explored=True)
    learner.others = np.random.default_rng(0).integers(0, 256, (30, 48, 48, 3), dtype=np.uint8)
    practice.finish()
    assert len(practice.published) == 1
    learner.take("practised", [recorded[5]], explored=False)
    learner.recall("older", segments)
    assert "earlier data come first" in practice.said[-1]
    with pytest.raises(ValueError, match=r"images are uint8 \(48, 48, 3\), expected uint8 \(64, 64, 3\)"):
        read_buffer(tmp_path / "old", 64, 2)
