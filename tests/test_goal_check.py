"""Which goal pictures the VAE knows: no false alarm for the task's own, none of what people send by mistake passes."""

import dataclasses
import json
import shutil
from pathlib import Path

import cv2
import gymnasium
import numpy as np
import pytest

import rig_sim  # noqa: F401  (registers the environment)
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.checkpoints.config import CheckpointError, PicturesEntry
from rig_robot.common.package_files import locate
from rig_robot.inference.keypoint_architecture import UNFAMILIAR
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.vision.goal_check import LIMIT, GoalCheck, pictures_entry, reconstruction_errors
from rig_robot.vision.observation import CENTRE_SQUARE, prepare_goal
from rig_sim.scenes import Scenery

SHIPPED = Path(__file__).parent / "data" / "plain_vae"


@pytest.fixture(scope="module")
def check() -> GoalCheck:
    return GoalCheck(Encoder(SHIPPED))


@pytest.fixture(scope="module")
def own() -> np.ndarray:
    """Goals of the shipped checkpoint's task, uint8 [40, 48, 48, 3]."""
    return goals("plain", 40)


def goals(scene: str, count: int) -> np.ndarray:
    env = gymnasium.make("RigSawyerReachXY-v0", image_size=48).unwrapped
    env.reset(seed=0)
    Scenery(env.world.model, scene, 0).show(0.0)
    rng = np.random.default_rng(0)
    return np.stack([env.render_goal(p) for p in rng.uniform(env.workspace_low, env.workspace_high, (count, 3))])


def variant(tmp_path: Path, **entries: object) -> Encoder:
    """The shipped VAE in a checkpoint of other entries; None: without that entry."""
    shutil.copytree(SHIPPED, tmp_path / "copy")
    content = json.loads((SHIPPED / "config.json").read_text()) | entries
    content = {key: value for key, value in content.items() if value is not None}
    (tmp_path / "copy" / "config.json").write_text(json.dumps(content))
    return Encoder(tmp_path / "copy")


def grey(pictures: np.ndarray) -> np.ndarray:
    return np.stack([np.repeat(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2) for one in pictures])


def test_the_tasks_own_goals_are_known_also_as_bad_jpeg(check, own):
    for picture in own:
        verdict = check.judge(picture)
        assert verdict.known and not verdict.grey and not verdict.text, verdict
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
        assert check.judge(cv2.imdecode(data, cv2.IMREAD_COLOR)).known


def test_pictures_sent_by_mistake_are_unknown_and_the_figure_is_reported(check, own):
    wide = cv2.resize(np.hstack(own[:3]), (1920, 516))
    pictures = {
        "noise": np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8),
        "black": np.zeros((48, 48, 3), np.uint8),
        "triptych": prepare_goal(wide, CENTRE_SQUARE, 48, 4 / 3)[0],
        "another scene": goals("shifted", 1)[0],
        "upside down": own[0, ::-1],
        "red and blue exchanged": own[0, ..., ::-1],
    }
    for name, picture in pictures.items():
        verdict = check.judge(np.ascontiguousarray(picture))
        assert verdict.known is False and verdict.times > LIMIT, f"{name}: {verdict}"
        assert f"{verdict.times:.1f} times" in verdict.text and not verdict.grey, f"{name}: {verdict}"


@pytest.fixture(scope="module")
def split() -> GoalCheck:
    """Judge by the shipped checkpoint, a split VAE that was trained in the lab."""
    return GoalCheck(Encoder(Path(locate(SHIPPED_CHECKPOINT))))


def lab(count: int) -> np.ndarray:
    """Goals in rooms of kinds that training never showed, uint8 [N, 48, 48, 3]."""
    env = gymnasium.make("RigSawyerReachXY-v0", image_size=48, scene="lab").unwrapped
    places = np.random.default_rng(0).uniform(env.workspace_low, env.workspace_high, (count, 3))
    seen = []
    for seed, place in enumerate(places):
        env.reset(seed=seed, options={"held_out": True})
        seen.append(env.render_goal(place))
    return np.stack(seen)


@pytest.mark.slow
def test_a_split_vae_knows_its_arm_in_rooms_that_it_never_saw(split, own):
    for pictures, least in ((own, 1.0), (goals("shifted", 40), 0.7), (lab(60), 0.9)):
        assert np.mean([bool(split.judge(picture).known) for picture in pictures]) >= least


def test_a_split_vae_does_not_know_pictures_that_do_not_show_the_arm_as_it_is(split, own):
    wrong = {
        "upside down": own[:, ::-1],
        "mirrored": own[:, :, ::-1],
        "noise": np.random.default_rng(0).integers(0, 256, (20, 48, 48, 3), dtype=np.uint8),
        "black": np.zeros((1, 48, 48, 3), np.uint8),
        "no arm": np.median(own, axis=0, keepdims=True).astype(np.uint8),
    }
    for name, pictures in wrong.items():
        verdicts = [split.judge(np.ascontiguousarray(picture)) for picture in pictures]
        assert np.mean([verdict.known is False for verdict in verdicts]) >= 0.9, name
        unknown = next(verdict for verdict in verdicts if not verdict.known)
        assert unknown.times > UNFAMILIAR and f"{unknown.times:.1f} times as far off" in unknown.text


def test_a_grey_picture_is_one_whatever_its_encoding_and_a_dark_one_is_not(check, own):
    for picture in grey(own[:5]):
        assert check.judge(picture).grey and "no colour" in check.judge(picture).text
        tinted = cv2.imdecode(cv2.imencode(".jpg", picture)[1], cv2.IMREAD_COLOR)
        assert check.judge(tinted).grey, "a grey JPEG"
    assert not check.judge(np.full((48, 48, 3), 3, np.uint8)).grey, "nothing could be seen in it"


def test_a_vae_of_grey_pictures_takes_grey_ones(own, tmp_path):
    encoder = variant(tmp_path, pictures={"missed": 30.0, "missed_colour": 0.0, "saturation": 0.0})
    check = GoalCheck(encoder)
    assert not check.judge(grey(own[:1])[0]).grey
    assert check.judge(own[0]).known is False, "what it misses of colours is beyond all that it knows"


def test_an_old_checkpoint_leaves_known_undecided_but_grey_is_still_refused(own, tmp_path):
    check = GoalCheck(variant(tmp_path, pictures=None))
    assert check.undecided and check.judge(own[0]) == (None, False, pytest.approx(np.nan, nan_ok=True), "")
    assert check.judge(grey(own[:1])[0]).grey


def test_the_usual_error_covers_most_training_pictures():
    rng = np.random.default_rng(0)
    pictures = rng.integers(20, 230, (200, 8, 8, 3), dtype=np.uint8)
    made = pictures + np.minimum(np.arange(200), 10).astype(np.uint8)[:, None, None, None]
    found = reconstruction_errors(pictures, made)
    np.testing.assert_allclose(found[:, 0], np.minimum(np.arange(200), 10), atol=1e-4)
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-4)  # as much of each colour
    entry = pictures_entry(pictures, made)
    assert entry.missed == 10 and entry.missed_colour == 0 and 0 < entry.saturation < 1


def test_the_shipped_checkpoint_stores_it_and_nonsense_is_refused_by_name(tmp_path):
    stored = read_config(SHIPPED).pictures
    assert stored is not None and stored.missed > stored.missed_colour > 0
    with pytest.raises(CheckpointError, match=r"pictures\.missed is -1"):
        variant(tmp_path, pictures=dataclasses.asdict(PicturesEntry(-1.0, 1.0, 0.1)))
