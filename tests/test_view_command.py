"""`rig view` notices a moved camera from pictures alone: no robot, no checkpoint, and from a folder no ROS."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from ros_harness import Listener
from sensor_msgs.msg import CompressedImage

from rig_robot.commands.options import ViewOptions
from rig_robot.commands.view import run
from rig_robot.messages.images import rgb_to_image
from rig_robot.ros.qos import OBSERVATION

RANDOM = np.random.default_rng(3)
TABLE = cv2.resize(RANDOM.integers(40, 220, (12, 16, 3)).astype(np.uint8), (880, 660), interpolation=cv2.INTER_NEAREST)


def frame(place: int, right: int = 0, light: float = 1.0) -> np.ndarray:
    """A 640x480 frame of a table, seen `right` pixels further to the right, with an arm at one of several places."""
    picture = (TABLE[90:570, 120 - right : 760 - right] * light).clip(0, 255).astype(np.uint8)
    left = 40 + 90 * (place % 6)
    picture[300:, left : left + 60] = (30, 30, 30)
    return np.ascontiguousarray(picture)


def folder(path: Path, count: int, **how: float) -> Path:
    path.mkdir()
    for index in range(count):
        cv2.imwrite(str(path / f"{index:03d}.png"), frame(index, **how)[..., ::-1])  # type: ignore[arg-type]
    return path


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return folder(tmp_path / "before", 24)


def test_the_same_view_is_the_same_wherever_the_arm_is(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ViewOptions(folder(tmp_path / "today", 4), reference=before)) == 0
    assert capsys.readouterr().out.startswith("the view is as it was\n")


@pytest.mark.parametrize(
    ("how", "said"),
    [({"right": 40}, "the view has shifted by 3.0 observation pixels to the right"), ({"light": 0.8}, "darker by 20%")],
)
def test_a_moved_camera_and_another_light_are_told_and_drawn(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: dict, said: str
) -> None:
    drawn = tmp_path / "views.png"
    assert run(ViewOptions(folder(tmp_path / "today", 4, **how), reference=before, picture=drawn)) == 1
    assert said in capsys.readouterr().out
    assert cv2.imread(str(drawn)).shape[1] > 1000


def test_a_checkpoint_says_what_its_camera_saw(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plain = Path(__file__).parent / "data" / "plain_vae"
    assert run(ViewOptions(folder(tmp_path / "today", 2), checkpoint=str(plain))) == 1
    assert "is this the checkpoint's view?" in capsys.readouterr().out


def test_what_cannot_be_compared_is_refused_by_name(before: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.mkdir()
    for index in range(8):
        cv2.imwrite(str(noise / f"{index}.png"), RANDOM.integers(0, 255, (48, 64, 3)).astype(np.uint8))
    (tmp_path / "none").mkdir()
    for options, said in (
        (ViewOptions(before), "name what to compare with"),
        (ViewOptions(before, reference=before, picture=tmp_path / "views.txt"), "views.txt, which cannot be written"),
        (ViewOptions(before, reference=before, checkpoint="x"), "name what to compare with"),
        (ViewOptions(None, reference=before), "name either pictures"),
        (ViewOptions(before, topic="camera/image_raw", reference=before), "name either pictures"),
        (ViewOptions(before, reference=noise), "too little stands still in it"),
        (ViewOptions(tmp_path / "none", reference=before), "none holds no picture"),
        (ViewOptions(tmp_path / "nowhere", reference=before), "nowhere does not exist"),
        (ViewOptions(before, checkpoint="package://rig_robot/models/sawyer_reach_xy"), "has no reference of its scene"),
    ):
        with pytest.raises(ValueError, match=said):
            run(options)


def test_from_pictures_it_needs_no_ros(before: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom rig_robot.commands.options import ViewOptions\n"
        f"from rig_robot.commands.view import run\nfolder = Path({str(before)!r})\n"
        "assert run(ViewOptions(folder, reference=folder)) == 0\nassert not {'rclpy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_camera_topic_is_heard_whoever_publishes_it(listener: Listener, before: Path, compressed: bool) -> None:
    topic = "camera/image_raw/compressed" if compressed else "camera/image_raw"
    publisher = listener.node.create_publisher(
        CompressedImage if compressed else type(rgb_to_image(frame(0), None, "")), topic, OBSERVATION
    )
    now = listener.node.get_clock().now().to_msg()

    def publish() -> None:
        picture = frame(0, right=40)
        if compressed:
            data = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
            publisher.publish(CompressedImage(format="png", data=data))
        else:
            publisher.publish(rgb_to_image(picture, now, "camera"))

    listener.node.create_timer(0.1, publish)
    command = [sys.executable, "-m", "rig_robot.cli", "view", "--topic", topic, "--reference", str(before)]
    with subprocess.Popen([*command, "--timeout", "20"], stdout=subprocess.PIPE, text=True) as told:
        listener.until(lambda: told.poll() is not None, "rig view has ended", 60.0)
        assert told.stdout is not None and "shifted by 3.0" in told.stdout.read()
    assert told.returncode == 1
