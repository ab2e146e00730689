"""The operator's page without a browser: what it sends while it is busy, what it draws, which pictures it keeps."""

import asyncio
import dataclasses
import io
import math
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from test_goal_check import SHIPPED, goals
from test_image_decoding import png, png_header

from rig_robot.arm.kinematics import Kinematics
from rig_robot.bringup.arm_presets import arm_parameters, presets
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, SHIPPED_PUSHING
from rig_robot.bringup.parameter_files import read_parameters
from rig_robot.bringup.systems import NODES
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.common.message_fields import number
from rig_robot.common.package_files import locate, share
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.page.arm_model import ArmModel
from rig_robot.page.bridge import Bridge, LoopThread
from rig_robot.page.control import Control
from rig_robot.page.desk import Desk
from rig_robot.page.episodes import Episodes
from rig_robot.page.gallery import Gallery
from rig_robot.page.goal_pictures import RECENT, GoalPictures, NotReady
from rig_robot.page.heard import Heard
from rig_robot.page.learning_curve import MOST, LearningCurve, judged
from rig_robot.page.pace import FASTEST, JUDGED, SLOWEST, Pace
from rig_robot.page.panels.distance import curve
from rig_robot.vision.image_decoding import PictureRefused

# What goes on while the page is busy


def test_a_busy_page_does_not_hold_up_the_loop_before_it() -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        time.sleep(0.5)
        await send({"type": "answer", "body": message["body"]})

    async def front() -> tuple[list[Any], int]:
        sent: list[Any] = []
        turns = 0

        async def receive() -> dict[str, Any]:
            return {"body": b"asked"}

        async def send(message: Any) -> None:
            sent.append((message, threading.current_thread().name))

        task = asyncio.ensure_future(Bridge(page, LoopThread("page"))({}, receive, send))
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return sent, turns

    sent, turns = asyncio.run(front())
    assert [message["body"] for message, _ in sent] == [b"asked"]
    assert sent[0][1] == threading.current_thread().name, "the front's own thread talks to the browser"
    assert turns > 20, "the front's loop stood still while the page was busy"


def test_nothing_is_encoded_while_nobody_looks_and_no_old_picture_greets_who_looks_again() -> None:
    gallery = Gallery()
    picture = np.zeros((48, 64, 3), np.uint8)
    gallery.show("goal", picture, 1.0)
    assert not gallery.is_due("camera")

    async def look() -> None:
        with gallery.looking() as viewer:
            assert gallery.is_due("camera")
            gallery.show("camera", picture, 2.0)
            await asyncio.wait_for(viewer.changed.wait(), 1.0)
            assert not gallery.is_due("camera"), "not more than 15 a second"
            await asyncio.sleep(2 * FASTEST)
            viewer.drawing.add("camera")
            assert not gallery.is_due("camera"), "the browser still draws the last one"
            assert gallery.age("camera") < 1.0, "the camera is not late where the browser is slow"
            viewer.drawing.discard("camera")
            assert gallery.is_due("camera")
            shown = gallery.newest("camera")
            assert shown is not None and shown.jpeg.startswith(b"\xff\xd8") and shown.stamp == 2.0

    asyncio.run(look())
    assert gallery.newest("camera") is None and gallery.newest("goal") is not None


def test_pictures_are_sent_less_often_while_programs_wait_for_a_processor_and_as_before_afterwards() -> None:
    pace = Pace()

    def settle(late: float, judgements: int) -> float:
        for _ in range(judgements * JUDGED):
            pace.note(late)
        return pace.period

    assert settle(0.001, 5) == FASTEST
    assert settle(0.01, 1) > 1.4 * FASTEST
    assert settle(0.01, 20) == SLOWEST
    assert settle(0.003, 5) == SLOWEST, "between the two thresholds it stays"
    assert settle(0.001, 40) == FASTEST
    for _ in range(JUDGED // 20):  # a program that is late once in a while is no sign of want
        pace.note(0.1)
    assert settle(0.001, 1) == FASTEST


# What is learned, and where things are


def test_the_learning_curve_keeps_what_is_new_and_thins_out_when_it_is_long() -> None:
    curve = LearningCurve()
    for second in range(10 * MOST):
        curve.hear({"critic_loss": f"{10 / (second + 1):.6g}", "phase": "practise"}, float(second))
    points = curve.curves["critic_loss"]
    assert MOST / 2 <= len(points) <= MOST + 1 and points[0] == (0.0, 10.0)
    assert points[-1][0] > 9.9 * MOST and [at for at, _ in points] == sorted({at for at, _ in points})
    before = list(points)
    curve.hear({"critic_loss": f"{points[-1][1]:.6g}"}, 20.0 * MOST)  # a trainer that waits repeats its last loss
    for said in ({}, {"critic_loss": "nan"}, {"critic_loss": "soon"}):
        curve.hear(said, 30.0 * MOST)
    assert curve.curves["critic_loss"] == before and not curve.curves["vae/squared_error"]


def test_the_curve_of_the_distance_is_broken_where_nothing_was_told() -> None:
    told = curve([-9.0, -8.9, -2.0, -1.9], [30.04, float("nan"), 20.0, 10.0], 1)
    assert told == [[-9.0, 30.0], [-8.9, None], [-2.0, None], [-2.0, 20.0], [-1.9, 10.0]]
    assert curve([], [], 1) == []


@pytest.mark.parametrize("text", ["far", "", "nan", "1e999", "-inf"])
def test_a_value_that_is_no_number_is_unknown(text: str) -> None:
    assert math.isnan(number({"distance": text}, "distance"))
    assert math.isnan(number({}, "distance"))
    assert number({"distance": "2.5"}, "distance") == 2.5


def test_a_checkpoint_of_long_ago_does_not_squeeze_the_learning_curve() -> None:
    old = read_config(locate(SHIPPED_CHECKPOINT))
    day = [f"2099-01-01T0{hour}:00:00+00:00" for hour in range(3)]
    new = [dataclasses.replace(old, created=at, parent="old", figures={"mean_mm": 5.0 - n}) for n, at in enumerate(day)]
    unjudged = dataclasses.replace(new[0], figures={"held_out_loss": 3.0})
    found = judged([old, unjudged, *new])
    assert [distance for _, distance in found] == [old.figures["mean_mm"], 5.0, 4.0, 3.0]
    assert found[1][0] - 100 < found[0][0] < found[1][0] and found[2][0] - found[1][0] == 3600
    assert judged([old]) == []


def desk(config: CheckpointConfig) -> Desk:
    """Return a desk with an arm at a known place, and the goal four actions further along x."""
    heard = Heard(tool=np.array([0.5, 0.1, 0.3]))
    heard.latent = np.zeros(config.vae.latent_size, np.float32)
    heard.goal_latent = heard.latent + np.eye(len(heard.latent), dtype=np.float32)[0] * 4
    robot: Any = None
    return Desk(
        heard,
        Control(lambda: None, lambda _: None, lambda *_: None),
        Gallery(),
        GoalPictures(),
        Episodes(lambda: None),
        robot,
        config,
    )


def test_tool_and_object_are_drawn_where_latents_have_them() -> None:
    assert desk(read_config(SHIPPED)).target() is None, "latents of a plain VAE have no unit"
    reaching, pushing = (desk(read_config(locate(place))) for place in (SHIPPED_CHECKPOINT, SHIPPED_PUSHING))
    assert reaching.thing() is None and reaching.thing_target() is None
    target = reaching.target()
    assert target is not None and abs(target[0] - 0.58) < 1e-6
    pushing.heard.latent = np.array([1.0, 2.0, 4.0, 2.0], np.float32)
    pushing.heard.goal_latent = np.array([0.0, 0.0, 4.0, 7.0], np.float32)
    places = pushing.target(), pushing.thing(), pushing.thing_target()
    expected = [[0.48, 0.06, 0.22], [0.56, 0.1, 0.22], [0.56, 0.2, 0.22]]  # 0.02 m to an action; the table's height
    assert np.allclose(np.array(places, float), expected, atol=1e-6)
    pushing.heard.goal_latent = None
    assert pushing.thing_target() is None and pushing.thing() is not None
    assert 0.01 < pushing.thing_radius() < 0.08


# Pictures


@pytest.fixture(scope="module")
def pictures() -> GoalPictures:
    found = GoalPictures()
    found.use(Encoder(SHIPPED))
    return found


def test_a_picture_is_judged_before_it_is_sent(pictures: GoalPictures) -> None:
    own = goals("plain", 1)[0]
    known = pictures.upload(png(own))
    assert not known.doubts and (known.picture == own).all() and known.redrawn is not None
    assert known.data == png(own), "what is sent is what was uploaded"
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    assert "does not know" in pictures.upload(png(noise)).doubts
    assert "neither 48x48 nor" in pictures.upload(png(np.hstack([own] * 3))).doubts
    assert pictures.candidate(known.number) is known


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ\x90\x00" + bytes(100),
        png_header(10_000, 10_000),
        png(np.eye(48, dtype=np.uint8)[..., None].repeat(3, 2))[:60],
    ],
    ids=["nothing", "a program", "100 megapixels", "cut short"],
)
def test_what_is_no_picture_or_too_large_is_refused(pictures: GoalPictures, data: bytes) -> None:
    with pytest.raises(PictureRefused):
        pictures.upload(data)


def test_an_imagined_goal_is_seen_before_it_is_sent(pictures: GoalPictures) -> None:
    scene = goals("plain", 1)[0]
    imagined = [pictures.imagine(scene) for _ in range(3)]
    assert all(each.picture.shape == (48, 48, 3) and not each.doubts for each in imagined)
    assert not (imagined[0].picture == imagined[1].picture).all()


def test_the_last_twenty_goals_are_remembered_each_once() -> None:
    pictures = GoalPictures()
    with pytest.raises(NotReady, match="not loaded"):
        pictures.upload(png(np.zeros((48, 48, 3), np.uint8)))
    pictures.use(Encoder(SHIPPED))
    shown = [np.full((48, 48, 3), value, np.uint8) for value in range(RECENT + 3)]
    for picture in (*shown, shown[-2]):
        pictures.remember(picture)
    recent = pictures.recent()
    assert len(recent) == RECENT and (recent[0][1] == shown[-2]).all() and (recent[1][1] == shown[-1]).all()
    assert len({number for number, _ in recent}) == RECENT
    assert (pictures.again(recent[3][0]).picture == recent[3][1]).all()
    with pytest.raises(NotReady):
        pictures.again(10**6)


def test_an_episode_is_downloaded_whole_and_nothing_else_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("no")
    root = tmp_path / "episodes"
    for name, whole in (("one", True), ("two", False)):
        (root / name).mkdir(parents=True)
        (root / name / f"{name}.mcap").write_bytes(bytes(3_000_000))
        if whole:
            (root / name / "metadata.yaml").write_text("rosbag2_bagfile_information: {}")
    episodes = Episodes(lambda: root)
    assert episodes.names() == ["one"]

    async def download(name: str) -> bytes:
        return b"".join([chunk async for chunk in episodes.tar(name)])

    with tarfile.open(fileobj=io.BytesIO(asyncio.run(download("one")))) as tar:
        assert {(member.name, member.size) for member in tar if member.isfile()} == {
            ("one/one.mcap", 3_000_000), ("one/metadata.yaml", len("rosbag2_bagfile_information: {}")),
        }  # fmt: skip
    for name in ("two", "../secret", "..", ".", "", "/etc"):
        with pytest.raises(ValueError, match="no whole episode"):
            episodes.tar(name)
    with pytest.raises(ValueError, match="no recorder"):
        Episodes(lambda: None).tar("one")


# The arm in 3D


def arms() -> dict[str, dict[str, Any]]:
    """Parameters of the simulated arm and of each preset."""
    found = {"sim": read_parameters(share("config", "sim.yaml"), NODES)["arm"]}
    for name in presets():
        found[name] = arm_parameters({"preset": name}, share("config", "robot.yaml"))
    return found


@pytest.mark.parametrize(("name", "arm"), arms().items(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_arm_is_drawn_where_its_kinematics_have_it(name: str, arm: dict[str, Any]) -> None:
    place = locate(arm["description"])
    model = ArmModel(place, arm["joints"], arm["tool"], arm.get("base_frame", "base"))
    assert len(model.shapes) >= 5 and len(model.links) >= 5
    kinematics = Kinematics(
        place, arm["joints"], arm["tool"], rest=arm["rest"], base_frame=arm.get("base_frame", "base")
    )
    rng = np.random.default_rng(0)
    before: dict[int, np.ndarray] = {}
    for _ in range(5):
        q = rng.uniform(np.maximum(kinematics.lower, -3), np.minimum(kinematics.upper, 3))
        poses = model.poses(dict(zip(arm["joints"], q, strict=True)))
        last = max(poses)
        tool, quaternion = kinematics.pose(q)
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, quaternion)
        # The tool is fixed to the last link, so that it is always in the same place seen from there.
        place_there = poses[last][1].T @ (tool - poses[last][0])
        assert np.abs(place_there - before.setdefault(last, place_there)).max() < 1e-6
        assert np.linalg.norm(place_there) < 0.5
