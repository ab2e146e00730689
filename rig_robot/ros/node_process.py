"""Runs nodes as a process: builds them, spins, and stops them in order at a signal or when their starter dies."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NoReturn

import rclpy
from rclpy.executors import Executor
from rclpy.signals import SignalHandlerOptions

from rig_robot.common import starter
from rig_robot.common.output_paths import os_error_text
from rig_robot.ros.executor import make_executor
from rig_robot.ros.in_process import InProcess, InProcessNode
from rig_robot.ros.node import RigNode
from rig_robot.ros.startup_errors import startup_errors

LAST_RESORT = 5.0
"""Time after its starter's death within which a node ends by itself, in order or not [s]; nobody else would end it."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
"""Signals that ask a node to shut down in order: Ctrl-C, kill, Ctrl-\\, a terminal that closes."""


def run(
    *node_types: Callable[[], RigNode],
    in_process: InProcess | None = None,
    arguments: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Run nodes as one process: build them, spin until a signal, their starter's death or one's end, stop them, exit.

    The exit status is 0 after a signal, 1 after the death of the process that started the nodes, and 2 if a node
    cannot start with its parameters.

    Args:
        node_types: Make the nodes.
        in_process: Connects them in memory, where there are several.
        arguments: For each node's name the ROS arguments that are for it alone, beside those of the command line.
    """
    InProcessNode.shared, InProcessNode.arguments = in_process, arguments or {}
    # rclpy's own handlers end the context first, and then a node cannot publish its last message. These handlers only
    # write to a socket, on which a thread waits: a sleeping executor would not see a Python handler's flag.
    heard, written = socket.socketpair()
    written.setblocking(False)
    signal.set_wakeup_fd(written.detach())  # open for as long as the process lives
    for number in SIGNALS:
        # A signal that nohup ignores stays ignored.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    _never_wait_for_a_reader()
    _end_at_once_when_asked(True)
    nodes, outlive, starters = _build(node_types)
    executor, turn = make_executor(nodes)
    _end_at_once_when_asked(False)  # after the executor, which may have handlers of its own

    def wait_for_the_end() -> None:
        if starters is not None and _wait(heard, starters, outlive) == "signal":
            executor.create_task(nodes[0].end, 0)
            return
        text = "the process that started this node has died: stopping (the parameter outlive_starter lets it go on)"
        executor.create_task(lambda: nodes[0].get_logger().error(text))
        executor.create_task(nodes[0].end, 1)
        time.sleep(LAST_RESORT)
        os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    try:
        status = _spin(executor, turn, nodes, in_process)
        for node in nodes:
            node.stop()
    finally:
        executor.shutdown(timeout_sec=1.0)
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    _leave(status)


def _build(node_types: Sequence[Callable[[], RigNode]]) -> tuple[list[RigNode], bool, list[int] | None]:
    """Return the nodes, whether they outlive their starter, and what `open_starters` says; exit if one cannot start."""
    which = ""
    try:
        with startup_errors():
            rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
        nodes = []
        for node_type in node_types:
            which = f"{node_type.__name__}: " if len(node_types) > 1 else ""
            nodes.append(node := node_type())
            node.refuse_unknown_parameters()
            node.claim_name()
        outlive = all(node.outlive_starter for node in nodes)
        return nodes, outlive, [] if outlive else starter.open_starters(os.environ)
    except (ValueError, OSError) as error:
        # A wrong value concerns the person who set it: one line, no traceback.
        text = os_error_text(error) if isinstance(error, OSError) else error
        print(f"{os.path.basename(sys.argv[0])}: {which}{text}", file=sys.stderr, flush=True)  # noqa: PTH119
        rclpy.try_shutdown()
        sys.exit(2)


def _spin(executor: Executor, turn: Callable[[], None], nodes: Sequence[RigNode], in_process: InProcess | None) -> int:
    """Run callbacks until one of the nodes has ended; return its exit status."""
    if in_process is not None:
        deliver = in_process.deliver
        in_process.wake = lambda: executor.create_task(deliver)
        deliver()  # what was published while the nodes were made
    while not any(node.ended.done() for node in nodes):
        turn()
        if in_process is not None:
            in_process.deliver()
    return next(node.ended.result() for node in nodes if node.ended.done()) or 0


def _end_at_once_when_asked(starting: bool) -> None:
    """Let a signal end the process at once while the node is being built: nothing moves yet, nothing is half done.

    On a busy computer building takes longer than `ros2 launch` waits. Afterwards the waiting thread handles signals.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, (lambda *_: os._exit(0)) if starting else (lambda *_: None))


def _leave(status: int) -> NoReturn:
    """End the process after the node has stopped in order, without the destructors of its libraries.

    They have nothing left to do, and on a busy computer OpenGL's and MuJoCo's take 5 to 15 s; the node's own stop takes
    0.4 to 2 s.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _wait(heard: socket.socket, starters: Sequence[int], outlive: bool) -> Literal["signal", "starter"]:
    """Wait for a signal that asks for the end, or for the death of one of the starters."""
    poll = select.poll()
    for handle in (heard.fileno(), *starters):
        poll.register(handle, select.POLLIN)
    while True:
        ready = [handle for handle, _ in poll.poll()]
        if heard.fileno() in ready:
            number = heard.recv(1)[0]
            if number in SIGNALS and not (outlive and number == signal.SIGHUP):
                return "signal"
        elif ready:
            return "starter"


def _never_wait_for_a_reader() -> None:
    """Drop log lines where nobody reads them (Ctrl-S, a pager): a node that waits in a print does not brake.

    This concerns standard error, where ROS logs, and this process only: the file is opened again, since the mode of the
    inherited descriptor would change for every process that holds it.
    """
    try:
        mode = os.fstat(2).st_mode
        if stat.S_ISFIFO(mode) or os.isatty(2):
            anew = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            os.dup2(anew, 2)
            os.close(anew)
    except OSError:
        pass  # a terminal of another user, or no /proc: it stays as it was
