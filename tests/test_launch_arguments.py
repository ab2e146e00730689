"""The arguments of the launch files are the options of `rig`: one source, checked by name, in launch's own words."""

import dataclasses
from pathlib import Path

import pytest

from rig_robot.bringup.launch_arguments import arguments, in_words_of_launch, read
from rig_robot.bringup.node_spec import BringupError
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.systems import robot, simulation


@pytest.mark.parametrize("options", [SimOptions, RobotOptions])
def test_every_default_after_a_launch_argument_means_the_option_s_own(options: type) -> None:
    declared = arguments(options)
    fields = {field.name: field for field in dataclasses.fields(options)}
    assert set(declared) == set(fields)
    required = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    assert {name for name, argument in declared.items() if argument.default is None} == required
    made = read(options, {name: argument.default or "" for name, argument in declared.items()})
    for name in set(fields) - required:
        assert getattr(made, name) == fields[name].default, name


@pytest.mark.parametrize("options", [SimOptions, RobotOptions])
def test_every_launch_argument_says_what_it_is_and_names_no_option_of_rig(options: type) -> None:
    for name, argument in arguments(options).items():
        assert len(argument.text) > 15 and argument.text.endswith("."), name
        assert "--" not in argument.text and "\n" not in argument.text, argument.text


def test_choices_are_those_of_the_option_s_type() -> None:
    declared = arguments(SimOptions)
    assert declared["axes"].choices == ("xy", "xyz") and "lab" in declared["scene"].choices
    assert declared["log_level"].choices == ("debug", "info", "warn", "error", "fatal")
    assert declared["goals"].choices == () and declared["headless"].truth


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("goals", "abc", "goals:=abc: goals must be a whole number"),
        ("goals", "", "goals:=: goals must be a whole number"),
        ("goals", "1.5", "goals must be a whole number"),
        ("seed", "9" * 30, "seed must be a whole number"),
        ("headless", "flase", "headless:=flase: headless must be true or false"),
        ("practice", "", "practice:=: practice must be true or false"),
        ("axes", "yx", "axes:=yx: axes must be one of xy, xyz"),
        ("log_level", "loud", "log_level must be one of debug, info, warn, error, fatal"),
    ],
)
def test_a_text_that_is_no_value_of_its_argument_is_refused_by_name(name: str, text: str, said: str) -> None:
    with pytest.raises(BringupError) as error:
        read(SimOptions, {name: text})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"), [("True", True), ("1", True), ("on", True), ("FALSE", False), ("no", False), ("0", False)]
)
def test_truth_values_may_be_written_as_ros_2_takes_them(text: str, value: bool) -> None:
    assert read(SimOptions, {"practice": text}).practice is value


def test_an_empty_path_is_none_and_a_number_may_be_negative() -> None:
    made = read(SimOptions, {"record": "", "config": "", "goals": "-1", "images": "out"})
    assert made == SimOptions(goals=-1, images=Path("out"))


def test_a_home_directory_is_found_in_every_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = read(SimOptions, {"config": "~/a.yaml", "params_file": "~/b.yaml", "record": "~/bags", "data": "~/d"})
    assert (made.config, made.params_file) == (tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert (made.record, made.data) == (tmp_path / "bags", tmp_path / "d")
    assert RobotOptions(Path("~/my.yaml")).config == tmp_path / "my.yaml"
    assert RobotOptions(Path("~no_such_user/my.yaml")).config == Path("~no_such_user/my.yaml")


def test_errors_name_what_launch_has_and_leave_whole_commands_as_they_are() -> None:
    known = list(arguments(SimOptions).values())
    for ours, theirs in {
        "name one (--checkpoint)": "name one (checkpoint:=)",
        "let it learn (--practice)": "let it learn (practice:=true)",
        "asked for (--no-headless), but": "asked for (headless:=false), but",
        "see --params-file.": "see params_file:=.",
        "`rig train --task push` does": "`rig train --task push` does",
        "no option of it: --unknown, a--b": "no option of it: --unknown, a--b",
    }.items():
        assert in_words_of_launch(ours, known) == theirs


def test_the_same_error_names_the_option_under_rig(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("arm: {preset: sawyer}")
    with pytest.raises(BringupError, match=r"name one \(--checkpoint\), .* \(--practice\)"):
        robot(RobotOptions(tmp_path / "my.yaml"))
    with pytest.raises(BringupError, match=r"only a practice has an end \(--practice\)$"):
        simulation(SimOptions(steps=3))


def test_a_namespace_that_is_none_is_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="namespace is 'a b': must be names of letters"):
        simulation(SimOptions(namespace="a b"))
