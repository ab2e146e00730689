"""What is needed, and how old it may be: setup.py, package.xml, README.md and the constraints say the same."""

import ast
import re
import tomllib
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
ROSDEP = {
    "daqp": None,
    "gymnasium": "python3-gymnasium-pip",
    "matplotlib": "python3-matplotlib",
    "mcap": None,
    "mink": None,
    "mujoco": "python3-mujoco-pip",
    "nicegui": None,
    "numpy": "python3-numpy",
    "opencv-python": "python3-opencv",
    "pillow": "python3-pil",
    "pyyaml": "python3-yaml",
    "rosbags": "python3-rosbags-pip",
    "safetensors": None,
    "tensorboard": "python3-tensorboard-pip",
    "torch": "python3-pytorch-pip",
    "tqdm": "python3-tqdm",
    "tyro": None,
}
"""rosdep's key for each dependency, as rosdistro's rosdep/python.yaml has it for Debian and Ubuntu; None: none"""


def setup_arguments() -> dict[str, ast.expr]:
    tree = ast.parse((ROOT / "setup.py").read_text())
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "setup")
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def requirements() -> list[Requirement]:
    return [Requirement(text) for text in ast.literal_eval(setup_arguments()["install_requires"])]


def pinned(file: str) -> dict[str, list[str]]:
    """The versions that a file of constraints names for each package: one, or one for each range of Pythons."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / file).read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            (specifier,) = requirement.specifier
            found.setdefault(canonicalize_name(requirement.name), []).append(specifier.version)
    return found


def test_rosdep_and_the_readme_leave_no_dependency_out() -> None:
    assert {requirement.name for requirement in requirements()} == set(ROSDEP), "give the new one its key, or None"
    package = xml.parse(ROOT / "package.xml").getroot()
    named = {element.text for element in package.iter("exec_depend") if str(element.text).startswith("python3-")}
    assert named == {key for key in ROSDEP.values() if key}
    (without,) = re.findall(r"These have none: (.*?);", (ROOT / "README.md").read_text())
    assert re.findall(r"`([^`]+)`", without) == [name for name, key in ROSDEP.items() if key is None]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_a_range_begins_at_the_oldest_version_that_is_tested_and_holds_the_newest(requirement: Requirement) -> None:
    (lowest,) = requirement.specifier
    assert lowest.operator == ">=", "a cap would keep apt's or a newer version out; the constraints are for that"
    oldest = pinned("constraints-oldest.txt")[requirement.name]
    assert any(version in SpecifierSet(f"=={lowest.version}.*") for version in oldest), (oldest, str(requirement))
    for version in (*oldest, *pinned("constraints.txt")[requirement.name]):
        assert version in requirement.specifier


def test_the_numpy_that_ros_2_from_apt_is_built_for_is_allowed() -> None:
    (numpy,) = (requirement for requirement in requirements() if requirement.name == "numpy")
    assert "1.26.4" in numpy.specifier  # Ubuntu 24.04
    assert all(version.startswith("1.") for version in pinned("constraints-oldest.txt")["numpy"])


def test_both_sets_of_constraints_pin_the_same_packages() -> None:
    resolved = {"scipy", "setuptools"}  # what only one of the two has to hold back
    assert set(pinned("constraints-oldest.txt")) - resolved == set(pinned("constraints.txt")) - resolved


def test_the_maintainer_is_the_same_everywhere_and_no_placeholder() -> None:
    arguments = setup_arguments()
    said = (ast.literal_eval(arguments["maintainer"]), ast.literal_eval(arguments["maintainer_email"]))
    maintainer = xml.parse(ROOT / "package.xml").getroot().find("maintainer")
    assert maintainer is not None and (maintainer.text, maintainer.get("email")) == said
    assert not re.search(r"@example\.(com|org|net)$", said[1])


def test_whoever_cites_it_cites_the_version_and_licence_that_there_are() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    arguments = setup_arguments()
    assert said["cff-version"] == "1.2.0" and said["type"] == "software"
    assert said["license"] == ast.literal_eval(arguments["license"])
    version = xml.parse(ROOT / "package.xml").getroot().findtext("version")
    assert said["version"] == ast.literal_eval(arguments["version"]) == version
    (paper,) = said["references"]
    assert [author["family-names"] for author in paper["authors"]][:2] == ["Nair", "Pong"] and paper["year"] == 2018


def test_the_container_has_what_the_readme_and_the_makefile_install() -> None:
    text = (ROOT / "Dockerfile").read_text()
    (debian,) = re.findall(r"^DEBIAN := (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert not [package for package in debian.split() if package not in text]
    readme = (ROOT / "README.md").read_text()
    (limits,) = re.findall(r"pip install ('numpy<2' 'setuptools<80') -e", readme)
    assert limits in text and "--system-site-packages" in text and "whl/cpu" in text


CONDA_NAMES = {"opencv": "opencv-python", "pytorch-cpu": "torch"}
"""Names of setup.py where conda-forge's are others"""


def test_pixi_asks_for_what_setup_py_asks_for() -> None:
    """conda's channels cannot be reached by the tests: only what must agree is compared, nothing is solved."""
    pixi = tomllib.loads((ROOT / "pixi.toml").read_text())
    version = ast.literal_eval(setup_arguments()["version"])
    package = xml.parse(ROOT / "package.xml").getroot()
    assert (pixi["workspace"]["name"], pixi["workspace"]["version"]) == (package.findtext("name"), version)
    assert package.findtext("version") == version
    given = {CONDA_NAMES.get(name, name): text for name, text in pixi["dependencies"].items()}
    given |= pixi["pypi-dependencies"]
    for requirement in requirements():
        assert SpecifierSet(given.pop(requirement.name)) == requirement.specifier, requirement.name
    python = SpecifierSet(given.pop("python"))
    oldest = SpecifierSet(ast.literal_eval(setup_arguments()["python_requires"]))
    assert all(minor in oldest for minor in map("3.{}".format, range(8, 20)) if minor in python)
    extras = ast.literal_eval(setup_arguments()["extras_require"])
    known = {Requirement(text).name for extra in extras.values() for text in extra}
    assert set(given) - {"pip"} <= known, "what only develops or reads a device is an extra of setup.py, too"


@pytest.mark.parametrize("distribution", ["jazzy", "kilted"])
def test_pixi_takes_ros_2_from_robostack_under_its_names(distribution: str) -> None:
    pixi = tomllib.loads((ROOT / "pixi.toml").read_text())
    assert pixi["environments"][distribution] == [distribution]
    feature = pixi["feature"][distribution]
    assert feature["channels"] == [f"https://prefix.dev/robostack-{distribution}"]
    asked = {name.removeprefix(f"ros-{distribution}-") for name in feature["dependencies"]}
    assert all(name.startswith(f"ros-{distribution}-") for name in feature["dependencies"])
    # ros_base (REP 2001) has rclpy, launch, the common interfaces and their kin; these two are named beside it.
    assert {"ros-base", "rmw-fastrtps-cpp"} <= asked
    depends = {item.text.replace("_", "-") for item in xml.parse(ROOT / "package.xml").getroot().findall("exec_depend")}
    assert asked - {"ros-base", "rmw-fastrtps-cpp"} <= depends
