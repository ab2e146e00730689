"""Of `soak.py`: the things that go wrong, and which of them must stop the arm."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soak import Soak


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        strike: Makes it; returns the name of a node that is dead or hung by it, or None.
        must_stop: Whether the arm must stand still after it.
        often: How often it is drawn.
    """

    strike: Callable[[Soak], str | None]
    must_stop: bool
    often: int = 1


def _twist(velocity: tuple[float, float, float], age: float = 0.0, frame: str = "base") -> Callable[[Soak], None]:
    """A twist that somebody else than the policy sends."""

    def strike(soak: Soak) -> None:
        from geometry_msgs.msg import TwistStamped
        from rclpy.duration import Duration

        message = TwistStamped()
        stamp = soak.operator.node.get_clock().now() - Duration(seconds=age)
        message.header.stamp, message.header.frame_id = stamp.to_msg(), frame
        linear = message.twist.linear
        linear.x, linear.y, linear.z = velocity
        for _ in range(20):
            soak.twists.publish(message)

    return strike


def _bad_image(soak: Soak) -> None:
    from sensor_msgs.msg import CompressedImage, Image

    kind = soak.random.randrange(5)
    if kind == 0:
        soak.images.publish(Image(width=640, height=480, encoding="rgb8", step=1920, data=bytes(1000)))
    elif kind == 1:
        soak.images.publish(Image(width=64, height=48, encoding="bayer_rggb8", step=64, data=bytes(64 * 48)))
    elif kind == 2:
        soak.images.publish(Image(width=2**31, height=2**31, encoding="mono8", step=1))
    elif kind == 3:
        soak.files.publish(CompressedImage(format="png", data=b"\x89PNG\r\n\x1a\n" + soak.random.randbytes(2000)))
    else:
        soak.files.publish(CompressedImage(format="jpeg", data=soak.random.randbytes(100)))


def _bad_joints(soak: Soak) -> None:
    from sensor_msgs.msg import JointState

    names = [f"right_j{i}" for i in range(7)]
    stamp = soak.operator.node.get_clock().now().to_msg()
    for positions in ([float("nan")] * 7, [1.0, 2.0], []):
        message = JointState(name=names, position=positions)
        message.header.stamp = stamp
        soak.joints.publish(message)


def _estop(soak: Soak) -> None:
    from std_msgs.msg import Bool

    soak.estop.publish(Bool(data=True))


def _disarm(soak: Soak) -> None:
    from std_srvs.srv import SetBool

    soak.arm.call_async(SetBool.Request(data=False))


def _clear(soak: Soak) -> None:
    from std_srvs.srv import Trigger

    soak.hold_goals(1.0)  # a goal in the same instant would undo it
    soak.clear.call_async(Trigger.Request())


def _idle(soak: Soak) -> None:
    soak.operator.set_mode("idle")


def _signal(node: str, number: signal.Signals) -> Callable[[Soak], str]:
    return lambda soak: soak.kill(node, number)


NAN = float("nan")
FAULTS = {
    **{
        f"{node} killed": Fault(_signal(node, signal.SIGKILL), node != "goal")
        for node in ("camera", "encoder", "policy", "goal")
    },
    **{f"{node} hangs": Fault(_signal(node, signal.SIGSTOP), True) for node in ("camera", "encoder", "policy")},
    "emergency stop": Fault(_estop, True, often=2),
    "disarmed": Fault(_disarm, True, often=2),
    "goal cleared": Fault(_clear, True),
    "policy set to idle": Fault(_idle, True),
    "twist of NaN": Fault(_twist((NAN, 0.0, 0.0)), False),
    "twist of 1e9 m/s": Fault(_twist((1e9, -1e9, 1e9)), False),
    "twist an hour old": Fault(_twist((0.1, 0.0, 0.0), age=3600.0), False),
    "twist of the future": Fault(_twist((0.1, 0.0, 0.0), age=-10.0), False),
    "twist in another frame": Fault(_twist((0.1, 0.0, 0.0), frame="tool"), False),
    "broken goal picture": Fault(_bad_image, False, often=3),
    "broken joint states": Fault(_bad_joints, False, often=2),
}
