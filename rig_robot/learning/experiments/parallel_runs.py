"""Runs many trainings in parallel: in processes of this machine, or as Ray tasks on the machines of a cluster.

A worker may be killed at any time. Its run is started again and goes on where it stopped (see `training_state.py`), so
that it ends with the same bytes. No torch here: each worker loads its own.
"""

import contextlib
import dataclasses
import fcntl
import json
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from rig_robot.common.output_paths import check_folder
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.training.run_arguments import check_arguments, keep_arguments

RESTARTS = 3
"""How often a run is started again after its worker was killed"""
HISTORY, LOG, LOCK = "history.json", "log.txt", "lock"

RunArgs = TrainArgs | PushArgs
"""Arguments of a training, to reach or to push"""
MakeEnv = Callable[..., Any]
"""As `train` takes it: a function that workers can import by its name"""
Ends = Iterator[tuple[RunArgs, str]]
"""Runs in the order in which they end, each with its error; empty: no error"""


@dataclasses.dataclass(frozen=True)
class Ended:
    """The outcome of one run."""

    args: RunArgs
    history: list[dict]
    """Evaluations in order, as `train` wrote them; empty where the run failed"""
    error: str = ""
    """why it failed; empty where it did not"""


def sweep(runs: Sequence[RunArgs], make_env: MakeEnv, jobs: int = 0, ray: str | None = None) -> list[Ended]:
    """Bring every run to its end, also where others fail; return the outcomes in the order of `runs`.

    Args:
        runs: Arguments of each run.
        make_env: See `MakeEnv`.
        jobs: Most runs at a time; 0: as many as there are cores, here or in the cluster.
        ray: Address of a Ray cluster ("auto": the one that this machine belongs to; "local": one for this call alone);
            None: processes of this machine. With a cluster, each run's `out` must be a path that all machines see.
    """
    runs = [_absolute(args) for args in runs]
    for args in runs:  # all are checked before any begins
        check_folder("out", args.out)
        check_arguments(args)
    for args in runs:
        keep_arguments(args)
    left = [args for args in runs if not (args.out / HISTORY).exists()]
    root = Path(os.path.commonpath([args.out.parent for args in runs]))
    count = len(runs) - len(left)
    if count:
        print(f"{count} of {len(runs)} runs are finished already", flush=True)
    errors: dict[Path, str] = {}
    for args, error in _on_ray(left, make_env, jobs, ray, root) if ray and left else _here(left, make_env, jobs, root):
        count += 1
        errors[args.out] = error
        end = f"failed: {error} ({args.out / LOG})" if error else f"done, {_history(args)[-1]['mean_mm']:.1f} mm"
        print(f"[{count}/{len(runs)}] {_name(args, root)}: {end}", flush=True)
    return [Ended(args, [] if errors.get(args.out) else _history(args), errors.get(args.out, "")) for args in runs]


def _here(runs: Sequence[RunArgs], make_env: MakeEnv, jobs: int, root: Path) -> Ends:
    """Run in processes of this machine."""
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    waiting = deque((args, 0) for args in runs)
    alive: dict[int, tuple[Any, Connection, RunArgs, int]] = {}  # by what becomes ready when the process ends
    with _one_thread():
        try:
            while waiting or alive:
                while waiting and len(alive) < min(jobs or cores, cores):
                    args, kills = waiting.popleft()
                    reader, writer = context.Pipe(duplex=False)
                    process = context.Process(target=_work_here, args=(args, make_env, writer), daemon=True)
                    with _without_ctrl_c():
                        process.start()
                    writer.close()
                    alive[process.sentinel] = process, reader, args, kills
                    print(f"{_name(args, root)}: {'goes on' if kills else 'begins'}", flush=True)
                for sentinel in wait(list(alive)):
                    process, reader, args, kills = alive.pop(sentinel)  # type: ignore[arg-type]
                    process.join()
                    if process.exitcode < 0 and kills < RESTARTS:
                        print(f"{_name(args, root)}: its process was killed ({_signal(process)})", flush=True)
                        waiting.appendleft((args, kills + 1))
                    elif process.exitcode < 0:
                        yield args, f"killed {kills + 1} times ({_signal(process)})"
                    elif process.exitcode:
                        yield args, _message(reader, f"its process ended with status {process.exitcode}")
                    else:
                        yield args, ""
        finally:  # also on Ctrl-C: every run can be taken up again
            for process, *_ in alive.values():
                process.kill()
            for process, *_ in alive.values():
                process.join()


def _work_here(args: RunArgs, make_env: MakeEnv, errors: Connection) -> None:
    """Train in a process that `_here` has started; send an error through the pipe."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        """End with the parent: nobody would know of a worker that outlives it."""
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    try:
        _work(args, make_env)
    except Exception as error:
        errors.send(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None


def _on_ray(runs: Sequence[RunArgs], make_env: MakeEnv, jobs: int, address: str, root: Path) -> Ends:
    """Run as Ray tasks of one core each; Ray starts the task of a killed worker or a lost machine again, elsewhere."""
    try:
        import ray
    except ImportError:
        raise ValueError("Ray is not installed: pip install 'rig_robot[scale]'") from None
    with _one_thread():
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    try:
        _check_path(root)
        # max_calls: a process for each run, as in `_here`.
        task = ray.remote(num_cpus=1, max_retries=RESTARTS, max_calls=1)(_work)
        waiting = deque(runs)
        flying: dict[Any, RunArgs] = {}
        while waiting or flying:
            while waiting and len(flying) < (jobs or len(runs)):
                args = waiting.popleft()
                flying[task.remote(args, make_env)] = args
                print(f"{_name(args, root)}: queued", flush=True)
            (ended, *_), _ = ray.wait(list(flying))
            error = ""
            try:
                ray.get(ended)
            except ray.exceptions.RayTaskError as failure:
                error = f"{type(failure.cause).__name__}: {failure.cause}"
            except ray.exceptions.RayError as failure:
                error = f"{type(failure).__name__} after {RESTARTS} restarts: {failure}".splitlines()[0]
            yield flying.pop(ended), error
    finally:
        ray.shutdown()


def _check_path(root: Path) -> None:
    """Reject a directory that not all machines of the cluster see, before runs fail on one that does not."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look, blind = ray.remote(num_cpus=0)(Path.exists), []
    with tempfile.NamedTemporaryFile(dir=root) as file:  # a new name: other machines may have a directory of that path
        for node in ray.nodes():
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            if node["Alive"] and not ray.get(look.options(scheduling_strategy=there).remote(Path(file.name))):
                blind.append(node["NodeManagerHostname"])
    if blind:
        raise ValueError(f"{root} is not seen by {', '.join(blind)}: the runs need a directory that all machines share")


def _work(args: RunArgs, make_env: MakeEnv) -> None:
    """Train, in a worker; output goes to `log.txt` in the run's directory."""
    with (args.out / LOCK).open("a") as lock, (args.out / LOG).open("a", buffering=1) as log:
        # Two workers would spoil a run: the second waits for the first, and then finds nothing left to do.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            now = datetime.now(UTC).isoformat(timespec="seconds")
            print(f"{now} {socket.gethostname()}, process {os.getpid()}")
            try:
                from rig_robot.learning.training.push import train_push
                from rig_robot.learning.training.train import train

                if isinstance(args, PushArgs):
                    train_push(args, make_env)
                else:
                    train(args, make_env)
            except Exception:
                traceback.print_exc()
                raise


def _absolute(args: RunArgs) -> RunArgs:
    """Return the arguments with absolute paths: workers may have another working directory."""
    if isinstance(args, TrainArgs):
        args = dataclasses.replace(args, offline=args.offline and args.offline.resolve())
    return dataclasses.replace(args, out=args.out.resolve())


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Block Ctrl-C in processes that are started meanwhile, also while they load: the parent decides."""
    resource_tracker.ensure_running()  # if a worker started it, the signal would get through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let workers that are started meanwhile compute in one thread each: more would only slow each other down."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _history(args: RunArgs) -> list[dict]:
    return json.loads((args.out / HISTORY).read_text())


def _name(args: RunArgs, root: Path) -> str:
    return str(args.out.relative_to(root))


def _signal(process: Any) -> str:
    return signal.Signals(-process.exitcode).name


def _message(reader: Connection, otherwise: str) -> str:
    """Return the error that a worker sent before it ended."""
    try:
        return reader.recv()
    except EOFError:
        return otherwise
