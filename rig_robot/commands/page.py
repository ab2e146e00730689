"""`rig page`: run the console node, which serves the operator's page, beside a running system."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python

from rig_robot.bringup.node_spec import BringupError, NodeSpec, Parameters
from rig_robot.bringup.process_runner import Runner
from rig_robot.bringup.second_system import refuse_company
from rig_robot.commands.options import PageOptions
from rig_robot.commands.ros_session import NoAnswerError, RosSession


def serve(options: PageOptions, environment: Mapping[str, str]) -> int:
    """Serve the page until Ctrl-C, and return the exit status.

    Args:
        options: Where, and for which system.
        environment: Variables for the node, beside the user's own.

    Raises:
        BringupError: If no system is heard, or it has a page.
    """
    if not 0 <= options.port <= 65535:
        raise BringupError(f"port is {options.port}: must be from 0 (any free one) to 65535")
    parameters: Parameters = {
        name: value for name in ("address", "certificate", "key", "hosts") if (value := getattr(options, name))
    }
    checkpoint = options.checkpoint or _checkpoint(options)
    parameters |= {"port": options.port} | ({"checkpoint": checkpoint} if checkpoint else {})
    node = NodeSpec("console", "rig_robot.nodes.console", parameters, options.namespace.strip("/"), vital=True)
    refuse_company([node], {**os.environ, **environment}, "--namespace NAME")
    return Runner([node], dict(environment)).run()


def _checkpoint(options: PageOptions) -> str:
    """Ask the goal node for its checkpoint; return nothing where that is not on this machine.

    Raises:
        BringupError: If there is no goal node.
    """
    with RosSession("rig_page_command", options.namespace, options.timeout) as session:
        try:
            answer = session.call(
                GetParameters, "goal/get_parameters", GetParameters.Request(names=["checkpoint"]), repeat=True
            )
        except NoAnswerError as error:
            raise BringupError(f"no page: {error}") from None
    place = str(parameter_value_to_python(answer.values[0]))
    return place if place.startswith("package://") or os.path.exists(place) else ""  # noqa: PTH110
