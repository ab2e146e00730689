"""Runs a system's nodes as processes where there is no `ros2 launch`: prefixed output, restarts, nothing left behind.

Each child asks the kernel to be told to stop when the runner dies, so that the arm node still brakes the arm. A guard
process outlives them all: it waits on a pipe that ends with the runner, however that ends, kills what does not stop,
and takes back the shared memory of the dead.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from rig_robot.bringup.console import Console
from rig_robot.bringup.node_spec import NodeSpec
from rig_robot.bringup.shared_memory import sweep
from rig_robot.common.starter import starter_environment

GRACE = 3.0
"""How long a node may take to stop when asked [s]."""
RESTART_DELAYS = (0.5, 1.0, 2.0, 5.0)
"""Wait before the first, second ... restart of a node [s]; one that lived for `SETTLED` begins again."""
SETTLED = 30.0
LAST_WORDS = 1.0
"""How long to wait for a reader of what was said last, when the system was told to stop or has failed [s]."""
COLOURS = (36, 33, 32, 35, 34, 96, 93)
LOG, LONG = "RIG_LOG", "long"
"""Variable that chooses how lines look, and its value for those of ROS 2: [node] [severity] [seconds] [logger]: text"""
FORMAT, SHORT_FORMAT = "RCUTILS_CONSOLE_OUTPUT_FORMAT", "[{severity}] {message}"
"""Variable by which ROS 2's nodes form their lines, and its value where the runner adds time and node"""
NAMED_FORMAT = "[{severity}] {name}: {message}"
"""Its value for a process of several nodes: which of them speaks"""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def command(spec: NodeSpec, given: Mapping[str, str]) -> list[str]:
    """Return the command line of a node in the environment `given`."""
    arguments = [
        sys.executable,
        "-m",
        spec.module,
        *spec.part_words(),
        "--ros-args",
        *spec.ros_arguments(given),
    ]
    if not spec.parts:  # it would rename them all
        arguments += ["-r", f"__node:={spec.name}"]
    if spec.namespace:
        arguments += ["-r", f"__ns:=/{spec.namespace}"]
    for word in spec.parameter_words():
        arguments += ["-p", word]
    return arguments


@dataclass
class _Child:
    spec: NodeSpec
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    exited: int  # a descriptor that becomes readable when the process ends
    started: float
    colour: int
    text: bytes = b""


class Runner:
    """Starts nodes, prints what they say, restarts those that are not vital, and stops all of them together.

    Args:
        nodes: What to run.
        environment: Variables for all nodes, beside the user's own.
        notice: Lines for the person who starts them.
    """

    def __init__(self, nodes: Sequence[NodeSpec], environment: dict[str, str], notice: Sequence[str] = ()) -> None:
        self._nodes = nodes
        self._notice = notice
        self._short = os.environ.get(LOG) != LONG
        form = {FORMAT: SHORT_FORMAT} if self._short and FORMAT not in os.environ else {}
        self._environment = {**os.environ, **form, **environment, **starter_environment(), "PYTHONUNBUFFERED": "1"}
        self._selector = selectors.DefaultSelector()
        self._children: dict[str, _Child] = {}
        self._restarts: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._width = max(len(node.name) for node in nodes)
        self._tty = sys.stdout.isatty()
        self._status: int | None = None
        self._asked = False
        self._console = Console()

    def run(self) -> int:
        """Run until a vital node ends, SIGINT, SIGTERM or SIGHUP; return the exit status: 0 when done or on request."""
        for line in self._notice:
            self._console.say(line)
        sweep()
        heard, written = socket.socketpair()
        written.setblocking(False)
        asking = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
            asking.append(signal.SIGHUP)
        before = {number: signal.signal(number, lambda *_: None) for number in asking}
        previous = signal.set_wakeup_fd(written.fileno())
        self._selector.register(heard, selectors.EVENT_READ, self._asked_to_stop)
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "rig_robot.bringup.orphan_reaper"], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            for colour, spec in enumerate(self._nodes):
                self._start(spec, COLOURS[colour % len(COLOURS)])
            while self._status is None:
                self._turn()
        finally:
            self._stop_all()
            self._wait_for_reader(heard)
            signal.set_wakeup_fd(previous)
            for number, handler in before.items():
                signal.signal(number, handler)
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait()
            heard.close()
            written.close()
        return self._status

    def _start(self, spec: NodeSpec, colour: int) -> None:
        parent = os.getpid()

        def stop_with_the_runner() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before we could ask
                os._exit(1)

        given = self._environment
        named = {FORMAT: NAMED_FORMAT} if spec.parts and given.get(FORMAT) == SHORT_FORMAT else {}
        process = subprocess.Popen(
            command(spec, given),
            env={**given, **named, **spec.environment(given)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A group of its own: Ctrl-C at the terminal is for the runner, which stops the nodes in order.
            process_group=0,
            preexec_fn=stop_with_the_runner,
        )
        self._tell_guard(process.pid)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        child = _Child(spec, process, process.stdout, os.pidfd_open(process.pid), time.monotonic(), colour)
        self._children[spec.name] = child
        self._selector.register(child.output, selectors.EVENT_READ, lambda: self._print(child))
        self._selector.register(child.exited, selectors.EVENT_READ, lambda: self._ended(child))

    def _tell_guard(self, pid: int) -> None:
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the guard was killed; the kernel still takes the children along
            self._guard.stdin.write(f"{pid}\n".encode())
            self._guard.stdin.flush()

    def _turn(self, timeout: float = 1.0) -> None:
        """Wait for the next thing to happen and deal with it."""
        now = time.monotonic()
        if self._due:
            timeout = max(0.0, min(timeout, min(self._due.values()) - now))
        for key, _ in self._selector.select(timeout):
            key.data()
        for name in [name for name, due in self._due.items() if due <= time.monotonic()]:
            del self._due[name]
            last = self._children[name]
            self._start(last.spec, last.colour)

    def _asked_to_stop(self) -> None:
        self._say("stopping")
        self._status, self._asked = 0, True

    def _wait_for_reader(self, heard: socket.socket) -> None:
        """Wait until all has been written: for as long as it takes where the work was done, unless a signal comes."""
        finished = self._status == 0 and not self._asked
        end = time.monotonic() + LAST_WORDS
        while self._console.pending and (finished or time.monotonic() < end):
            if finished and select.select([heard], [], [], 0.0)[0]:
                break
            time.sleep(0.02)

    def _print(self, child: _Child) -> None:
        """Print the whole lines that a node has written since the last time."""
        data = child.output.read()
        if data == b"":  # it has closed its output
            self._ignore(child.output)
        *lines, child.text = (child.text + (data or b"")).split(b"\n")
        for line in lines:
            self._say(line.decode(errors="replace"), child)

    def _say(self, line: str, child: _Child | None = None) -> None:
        name, colour = (child.spec.name, child.colour) if child else ("rig", 37)
        prefix = f"{name:<{self._width}}" if self._short else f"[{name:>{self._width}}]"
        if self._tty:
            prefix = f"\033[{colour}m{prefix}\033[0m"
        if self._short:
            prefix, line = f"{time.strftime('%H:%M:%S')} {prefix}", line.replace("[INFO] ", "", 1)
        self._console.say(f"{prefix} {line}")

    def _ended(self, child: _Child) -> None:
        """Deal with a node that has ended by itself: end with it if it is vital, else start it anew."""
        self._forget(child)
        status = child.process.wait()
        sweep()
        spec = child.spec
        if spec.finishes and status == 0:
            self._status = 0
        elif spec.vital:
            self._say(f"{spec.name} ended ({reason(status)}) and nothing works without it: stopping")
            self._status = 1
        else:
            lived = time.monotonic() - child.started
            count = 0 if lived > SETTLED else self._restarts.get(spec.name, 0)
            delay = RESTART_DELAYS[min(count, len(RESTART_DELAYS) - 1)]
            self._restarts[spec.name] = count + 1
            self._due[spec.name] = time.monotonic() + delay
            self._say(f"{spec.name} ended ({reason(status)}): starting it again in {delay:g} s")

    def _forget(self, child: _Child) -> None:
        self._print(child)
        for stream in (child.output, child.exited):
            self._ignore(stream)
        child.output.close()
        os.close(child.exited)

    def _ignore(self, stream: IO[bytes] | int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(stream)

    def _stop_all(self) -> None:
        """Ask all nodes to stop, the arm before what it moves, and kill what does not."""
        self._due.clear()
        children = [child for child in self._children.values() if child.process.poll() is None]
        for child in reversed(children):
            child.process.terminate()  # SIGINT would end one that is still starting with a traceback
        end = time.monotonic() + GRACE
        for child in children:
            try:
                child.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"{child.spec.name} does not stop: killed")
                child.process.kill()
                child.process.wait()
            self._print(child)


def reason(status: int) -> str:
    """Return how a process ended, as people say it."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
