"""Starts trainings as processes of their own that can be killed, without each of them importing torch for 5 s anew."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess

LOADED = ["torch._dynamo", "rig_sim", "rig_robot.learning.training.train", "rig_robot.learning.practice.learner"]
"""What a training imports; torch's optimisers import `torch._dynamo` when the first is made."""

_context = multiprocessing.get_context("forkserver")


def start_training(function: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """Run a function of a test module in a process forked from one that has loaded what a training needs, and no more.

    Its exit status is 0 when the function returns, 1 after an exception, and -9 after SIGKILL.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    _context.set_forkserver_preload(LOADED)
    process = _context.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process
