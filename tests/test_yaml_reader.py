"""Every YAML file is read by one reader: what is wrong is named by file and line, and nothing is guessed."""

import math
import time
from pathlib import Path

import pytest
import yaml

from rig_robot.common import yaml_reader
from rig_robot.common.yaml_reader import MOST, YamlError, parse_yaml, read_yaml


@pytest.fixture(params=["libyaml", "Python"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's two parsers: not every machine has libyaml."""
    if request.param == "Python":
        plain = type("Plain", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}, "DEFAULT_SCALAR_TAG": "?"})
        monkeypatch.setattr(yaml_reader, "_Loader", plain)


def refused(content: bytes | str) -> str:
    """What is said of a YAML text that cannot be relied on."""
    with pytest.raises(YamlError) as error:
        parse_yaml(content, "my.yaml")
    text = str(error.value)
    assert text.startswith("my.yaml: ") and "\n" not in text and len(text) < 400
    return text


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: a is there twice (first in line 1): remove one"),
        ("a:\n  b: {c: 1,\n    d: {e: 1, e: 2}}", "line 3: a.b.d.e is there twice (first in line 3)"),
        ("a: 1\n'a': 1", "line 2: a is there twice"),
        ("- {a: 1, a: 1}", "line 1: 0.a is there twice"),
        ("a:\n\tb: 1", "line 2: begins with a tab: YAML indents with blanks only"),
        ("a: 1\n--- \nb: 2", "line 2: a second document begins (---)"),
        ("a: [1, 2\nb: 3", "is no YAML"),
        ("a: *missing", "line 1: is no YAML"),
        ("a: &x [1, *x]", "line 1: more than 50 lists or mappings in one another, or an alias that contains itself"),
        ("a: &x {b: *x}", "an alias that contains itself"),
        ("[" * 5000, "line 1: more than 50 lists or mappings in one another"),
        ("- " * 5000 + "1", "line 1: more than 50 lists or mappings in one another"),
        ("x:\n  " + "{a: " * 5000, "line 2: more than 50 lists or mappings in one another"),
        ("? [1]\n: 2", "line 1: a list or mapping stands where a key must be"),
        ("'': 1", "line 1: a key is empty"),
        ("a: !!timestamp x", "line 1: the tag tag:yaml.org,2002:timestamp is not known here"),
        ("a: !!python/object/apply:os.system [x]", "is not known here"),
        ("a: !mine 1", "line 1: the tag !mine is not known here"),
        ("a: !!set {x}", "is not known here"),
        ("a: 1\nb: " + "9" * 5000, "line 2: the number 99999999999999999999... has too many digits"),
        ('"a\\nb": 1\n"a\\nb": 2', "line 2: a\\nb is there twice"),
        ("a: {<<: 5}", "line 1: << takes what another mapping says"),
        ("a: 1\nb: \0", "line 2: the character '\\x00' is not for text files: is it binary?"),
        (b"a: 1\n# f\xfcr", "line 2: the byte 0xfc is not UTF-8: save the file as UTF-8"),
        (b"\xff\xfea", "is not UTF-16"),
        (b"a: 1\n" * 2**20, "has more than 4 MiB"),
        ("[" + "a," * 10**6, f"more than {MOST} values"),
    ],
    ids=lambda value: repr(value[:16]),
)
def test_what_cannot_be_relied_on_is_refused_by_file_and_line(content: bytes | str, said: str) -> None:
    assert said in refused(content)


@pytest.mark.usefixtures("loader")
def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]" for i in range(9)]
    began = time.monotonic()
    assert f"more than {MOST} values, with what aliases repeat" in refused("\n".join(lines))
    assert time.monotonic() - began < 30.0


@pytest.mark.usefixtures("loader")
def test_values_are_what_they_look_like() -> None:
    said = parse_yaml(
        "{a: 1e-3, b: 0x10, c: 010, d: 1_000, e: 12:30, f: 2024-01-01, g: .inf, h: -.5, i: 1., j: yes, k: ~, l: , "
        "m: Off, n: nO, o: '5', p: !!str 5, q: 0o17, r: +3, s: 'no', t: 1.0E+3, u: 0, v: -0.0, w: 3.4.5, on: {}, 5: x}",
        "my.yaml",
    ).value
    right = {"a": 1e-3, "b": 16, "c": 10, "d": "1_000", "e": "12:30", "f": "2024-01-01", "g": math.inf, "h": -0.5}
    right |= {"i": 1.0, "j": True, "k": None, "l": None, "m": False, "n": "nO", "o": "5", "p": "5", "q": 15, "r": 3}
    right |= {"s": "no", "t": 1000.0, "u": 0, "v": 0.0, "w": "3.4.5", "on": {}, "5": "x"}
    assert said == right
    assert [type(value) for value in said.values()] == [type(value) for value in right.values()]


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_that_says_what_it_is_can_be_read(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_bytes("# für die Werkbank\r\nserial: 'ü 😀'\r\n".encode(encoding))
    assert read_yaml(file, str(file)).value == {"serial": "ü 😀"}


@pytest.mark.usefixtures("loader")
def test_what_another_mapping_says_can_be_taken_over_and_replaced() -> None:
    document = parse_yaml("base: &b {x: 1, y: [2]}\nmine:\n  <<: *b\n  x: 3\nboth: {<<: [{z: 1}, *b, {z: 2}]}", "f")
    assert document.value["mine"] == {"x": 3, "y": [2]} and document.value["both"] == {"x": 1, "y": [2], "z": 1}
    assert document.line(("mine", "x")) == 4 and document.line(("mine", "y", 0)) == 1 and document.line(("mine",)) == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "Is a directory"), (tmp_path / "none.yaml", "No such file"), (Path("\0"), "null")):
        with pytest.raises(YamlError, match=f"configuration .*: .*{said}"):
            read_yaml(path, f"configuration {path}")
    with pytest.raises(YamlError, match="more than 4 MiB"):
        read_yaml(Path("/dev/zero"), "configuration /dev/zero")
