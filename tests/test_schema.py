"""``design.json``: one schema; whatever else somebody makes of it, or of ``model.npz``, is refused where it is read."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import cnn2rtl
from cnn2rtl import schema
from cnn2rtl.accuracy import compare
from cnn2rtl.measuring.evaluation import described
from cnn2rtl.project import open_project, record
from cnn2rtl.tensors import noise
from cnn2rtl.verify import write_vectors

SEED = 7
EDITS = 400
VALUES: tuple[Any, ...] = (None, -1, 0, 1.5, 10**12, "x", "", [], {}, True, [0], {"a": 1}, float("inf"), [[1, 2], 3])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5))
    folder = tmp_path_factory.mktemp("project") / "out"
    cnn2rtl.compile(net.eval(), (3, 8, 8), name="small").write(folder)
    return folder


def use(folder: Path, scratch: Path) -> None:
    """Do with a project what ``simulate`` and ``evaluate`` do, but for the simulation."""
    project = open_project(folder)
    images = noise(project.graph.inputs, 2)
    write_vectors(scratch, project.graph, project.streams, images)
    (found,) = compare(project.float_graph, project.graph, images).judgements
    about = schema.Accuracy(len(images), (described(found),), {}, "noise")
    record(folder, accuracy=about)
    assert open_project(folder).about.results.accuracy == about


def refusal(folder: Path, scratch: Path) -> str:
    """What is said against using a project; nothing where it can be used."""
    try:
        use(folder, scratch)
    except cnn2rtl.UserError as error:
        return str(error)
    return ""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a JSON value."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield (*path, key)
        yield from places(inner, (*path, key))


def edited(contents: Any, path: tuple[Any, ...], change: Any) -> Any:
    """``contents`` with another value at ``path``, or without one where ``change`` is an ellipsis."""
    result = copy.deepcopy(contents)
    holder = result
    for key in path[:-1]:
        holder = holder[key]
    if change is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = change
    return result


def test_the_text_is_read_as_it_was_written(out: Path) -> None:
    text = (out / "design.json").read_text(encoding="utf-8")
    assert schema.parse(text).text() == text
    use(out, out.parent / "vectors")


def test_every_edit_is_refused_or_changes_nothing_that_matters(out: Path, tmp_path: Path) -> None:
    contents = json.loads((out / "design.json").read_text(encoding="utf-8"))
    rng = random.Random(SEED)
    ways = list(places(contents))
    for number in range(EDITS):
        path = ways[number % len(ways)] if number < len(ways) else rng.choice(ways)
        change = rng.choice((..., *VALUES))
        folder = tmp_path / str(number)
        shutil.copytree(out, folder)
        (folder / "design.json").write_text(json.dumps(edited(contents, path, change)))
        said = refusal(folder, tmp_path / "vectors")
        assert not said or said.startswith(f"{folder}: design.json"), (path, change)
        shutil.rmtree(folder)


def test_networks_that_are_not_those_of_the_design(out: Path, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(80, 5))
    cnn2rtl.compile(net.eval(), (3, 8, 8), name="small").write(tmp_path / "other")
    for file in ("design.json", "model.npz"):
        shutil.copytree(out, tmp_path / file)
        shutil.copy(tmp_path / "other" / file, tmp_path / file)
        said = refusal(tmp_path / file, tmp_path / "vectors")
        assert "`0` is another one in each of them" in said or "model.npz is not the one that was generated" in said


def test_edits_of_the_networks(out: Path, tmp_path: Path) -> None:
    """A bit of ``model.npz`` is another one, it is cut, or it is another file: nothing is made of it."""
    rng = random.Random(SEED)
    whole = (out / "model.npz").read_bytes()
    shutil.copytree(out, tmp_path / "out")
    for _ in range(40):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        for changed in (bytes(data), whole[: rng.randrange(len(whole))]):
            (tmp_path / "out" / "model.npz").write_bytes(changed)
            assert "damaged (ValueError: model.npz is not the one" in refusal(tmp_path / "out", tmp_path / "vectors")


def test_another_format_is_told(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    contents = json.loads((out / "design.json").read_text(encoding="utf-8"))
    del contents["format"], contents["blocks"]
    (tmp_path / "out" / "design.json").write_text(json.dumps({**contents, "generator": "cnn2rtl 0.0.9"}))
    with pytest.raises(cnn2rtl.UserError, match=r"format 1 \(cnn2rtl 0\.0\.9\), .* generate the project again"):
        open_project(tmp_path / "out")


def test_what_is_wrong_is_told_by_its_place(out: Path) -> None:
    contents = json.loads((out / "design.json").read_text(encoding="utf-8"))
    for path, change, said in (
        (("layers", 0, "cycles"), "many", r"Expected `int`, got `str` - at `\$\.layers\[0\]\.cycles`"),
        (("blocks", 0, "memory"), {"weights": 1}, "missing required field `parameters`"),
        (("layers", 1, "inputs"), ["nobody"], "names that do not fit together: 'nobody'"),
        (("interval",), 0, r"at `\$\.interval`"),
        (("colour",), 1, "unknown field `colour`"),
    ):
        with pytest.raises(ValueError, match=said):
            schema.parse(json.dumps(edited(contents, path, change)))
