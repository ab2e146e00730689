"""Compiles this package with the wheels of PyPI and installs it into the virtual environment that runs this file.

    make interfaces      # or: .venv/bin/python interfaces/build_with_wheels.py BUILD_FOLDER

A compiler and Python's headers must be there. With a full ROS 2, colcon builds the package instead.
"""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy

PREFIX = Path(sys.prefix)


def name_this_machine(folder: Path) -> None:
    """Mend what the wheels' CMake files say of where Python and numpy are: it is so on the machine that built them."""
    here = {
        r"/opt/python/[^\";]*/include/python[0-9.]+": sysconfig.get_path("include"),
        r"/opt/python/[^\";]*/numpy/_core/include": numpy.get_include(),
    }
    for file in folder.glob("*/cmake/*.cmake"):
        text = mended = file.read_text()
        for there, path in here.items():
            mended = re.sub(there, path.replace("\\", "/"), mended)
        if mended != text:
            file.write_text(mended)


def main(build: Path) -> None:
    name_this_machine(PREFIX / "share")
    os.environ["PATH"] = f"{PREFIX / 'bin'}:{os.environ['PATH']}"
    os.environ["AMENT_PREFIX_PATH"] = str(PREFIX)
    settings = {
        "CMAKE_PREFIX_PATH": PREFIX,
        "CMAKE_INSTALL_PREFIX": PREFIX,
        "CMAKE_BUILD_TYPE": "Release",
        "Python3_EXECUTABLE": sys.executable,
    }
    source = str(Path(__file__).resolve().parent)
    defined = [f"-D{name}={value}" for name, value in settings.items()]
    for command in (
        ["cmake", "-S", source, "-B", str(build), *defined],
        ["cmake", "--build", str(build), "--parallel", str(len(os.sched_getaffinity(0)))],
        ["cmake", "--install", str(build)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    subprocess.run([sys.executable, "-c", "import rig_robot_interfaces.action"], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
