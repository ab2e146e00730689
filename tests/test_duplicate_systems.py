"""Two systems of the same names in one ROS domain: the second does not start, no arm obeys the goals of the other."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from conftest import FIRST_DOMAIN, SPAN, claimed_domains
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from ros_harness import NO_CAMERA, Listener, node_process, user_environment
from std_srvs.srv import SetBool
from test_arm_node import PARAMETERS, Bench

from rig_robot.bringup.environment import DISCOVERY
from rig_robot.bringup.node_spec import BringupError, NodeSpec
from rig_robot.bringup.second_system import refuse_company
from rig_robot.ros.graph import TwoSources
from rig_robot.ros.node import NEWCOMER
from rig_robot.ros.qos import COMMAND


def test_two_runs_of_these_tests_have_domains_apart() -> None:
    other, claim = claimed_domains()
    claim.close()
    assert abs(other - int(os.environ[FIRST_DOMAIN])) >= SPAN


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    listener = Listener("bench")
    with node_process("rig_sim.robot_node", NO_CAMERA), node_process("rig_robot.nodes.arm", PARAMETERS):
        yield Bench(listener)
    listener.close()


def test_a_system_does_not_start_where_its_names_are_taken_and_says_how_to_go_apart(bench: Bench) -> None:
    nodes = [NodeSpec(name, "m") for name in ("camera", "arm", "sim")]
    with pytest.raises(BringupError) as refusal:
        refuse_company(nodes, user_environment(), "--namespace NAME")
    domain = os.environ["ROS_DOMAIN_ID"]
    assert f"ROS domain {domain} already has nodes of these names: /arm, /sim." in str(refusal.value)
    assert "--namespace NAME" in str(refusal.value) and f"(ROS_DOMAIN_ID={int(domain) + 1})" in str(refusal.value)
    refuse_company([NodeSpec("arm", "m", namespace="left")], user_environment(), "")
    refuse_company([NodeSpec("arm", "m")], user_environment() | {"ROS_DOMAIN_ID": str(int(domain) + 1)}, "")


def test_nodes_that_only_discovery_knows_are_found_where_the_domain_reaches_beyond_this_machine(bench: Bench) -> None:
    other = Node("elsewhere", context=bench.listener.node.context, namespace="right")
    reaches = {name: value for name, value in user_environment().items() if name != DISCOVERY}
    with pytest.raises(BringupError, match=r"these names: /right/elsewhere\."):
        refuse_company([NodeSpec(name, "m", namespace="right") for name in ("arm", "elsewhere")], reaches, "")
    other.destroy_node()


def test_the_command_is_refused_in_one_line_with_status_2(bench: Bench) -> None:
    command = [sys.executable, "-m", "rig_robot.cli", "sim"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2 and ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert line.startswith("rig: not started: ROS domain") and "/sim, /arm" in line


def test_a_second_arm_node_of_the_same_name_disarms_the_arm_and_prevents_arming(bench: Bench) -> None:
    time.sleep(NEWCOMER)  # a node that has run for so long does not end when another one appears
    bench.arm()
    other = Node("arm", context=bench.listener.node.context)  # known by discovery only, as one on another machine
    bench.listener.until(lambda: bench.state() == "disarmed", "the arm has seen its namesake and is disarmed")
    refused = bench.call(SetBool, "arm/set_armed", SetBool.Request(data=True))
    assert not refused.success and "another node is named /arm" in refused.message
    assert "namespace" in refused.message and "ROS_DOMAIN_ID" in refused.message
    other.destroy_node()
    bench.listener.until(
        lambda: bench.call(SetBool, "arm/set_armed", SetBool.Request(data=True)).success, "the arm is alone again"
    )


def test_a_second_arm_node_ends_by_itself_and_says_why(bench: Bench) -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS) as second:
        assert second.wait() == 2
        assert "another node is named /arm" in second.output() and "Traceback" not in second.output()


def test_twists_of_two_publishers_in_turn_disarm_the_arm(bench: Bench) -> None:
    bench.listener.until(
        lambda: bench.call(SetBool, "arm/set_armed", SetBool.Request(data=True)).success, "the arm is alone again"
    )
    bench.drive(0.3, 0.0, 0.0)
    first, bench.twists = bench.twists, bench.listener.node.create_publisher(TwistStamped, "rig/policy/twist", COMMAND)
    bench.listener.until(lambda: bench.twists.get_subscription_count(), "the second one is met")
    bench.listener.spin(0.3)
    bench.drive(0.3, 0.0, 0.0)
    assert bench.state() in ("moving", "waiting"), "one after the other is no mixture"
    second = bench.twists

    def take_turns() -> bool:
        for bench.twists in (first, second):
            bench.drive(0.1, 0.0, 0.0)
        return bench.state() == "disarmed"

    bench.listener.until(take_turns, "the mixture is noticed", 20.0)
    refused = bench.call(SetBool, "arm/set_armed", SetBool.Request(data=True))
    assert not refused.success and "two publishers" in refused.message and "/bench" in refused.message
    bench.listener.node.destroy_publisher(second)


def test_a_publisher_that_took_over_is_no_mixture_until_the_first_one_is_back() -> None:
    sources = TwoSources(patience=1.0)
    heard = [(b"a", 0.0), (b"a", 0.1), (b"b", 0.2), (b"b", 0.3), (b"a", 0.4), (b"b", 2.0), (b"a", 3.5)]
    assert [sources.mix(*one) for one in heard] == [False, False, False, False, True, False, False]
