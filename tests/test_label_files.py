"""Labels beside images: pictures and arrays with the images' names, and a table; cut out as the images are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import mistakes, succeed
from PIL import Image
from torch import nn

import cnn2rtl
from cnn2rtl import UserError
from cnn2rtl.images import Fit, ImageSet, load_images

RNG = np.random.default_rng(0)


def write(folder: Path, name: str, values: np.ndarray) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


def blocks(height: int, width: int, size: int = 1) -> np.ndarray:
    """Squares of one value each, not two alike side by side."""
    values = np.add.outer(np.arange(height // size) * 37, np.arange(width // size) * 11) % 200
    return np.kron(values, np.ones((size, size))).astype(np.uint8)


def pairs(folder: Path, height: int, width: int, finer: int = 1, where: str = "masks", size: int = 1) -> None:
    """Three grey pictures, and their own values, as the labels."""
    for number in range(3):
        picture = blocks(height, width, size) + np.uint8(number)
        write(folder / "images", f"{number}.png", picture)
        write(folder / where, f"{number}.png", picture.repeat(finer, 0).repeat(finer, 1))


def labels_of(images: ImageSet) -> np.ndarray:
    return images.labels_of(("out",))["out"].values


@pytest.mark.parametrize("where", ["labels", "masks", "targets"])
@pytest.mark.parametrize(("height", "width"), [(8, 10), (11, 13), (20, 15)])
@pytest.mark.parametrize("finer", [1, 3])
def test_labels_are_cut_out_as_their_images_are(
    tmp_path: Path, where: str, height: int, width: int, finer: int
) -> None:
    pairs(tmp_path, height, width, finer, where)
    images = load_images(tmp_path, (1, 8, 10))
    # The labels are no class of images.
    assert images.labels is None and images.class_names == () and images.names == ("0.png", "1.png", "2.png")
    expected = images.images[..., 0].repeat(finer, 1).repeat(finer, 2)
    np.testing.assert_array_equal(labels_of(images), expected)
    np.testing.assert_array_equal(labels_of(load_images(tmp_path, (1, 8, 10), limit=2)), expected[:2])


@pytest.mark.parametrize("fit", ["resize", "squash"])
def test_labels_are_resized_as_their_images_are_without_new_values(tmp_path: Path, fit: Fit) -> None:
    pairs(tmp_path, 48, 64, size=8)
    images = load_images(tmp_path, (1, 24, 24), fit)
    found = labels_of(images)
    assert set(np.unique(found)) <= set(np.unique(np.stack([blocks(48, 64, 8) + np.uint8(n) for n in range(3)])))
    # Within a square, pictures are not blurred.
    same = np.abs(found.astype(int) - images.images[..., 0].astype(int)) <= 1
    assert same.mean() > 0.3 and same.any(axis=(1, 2)).all()
    centre = found[:, 10:14, 10:14].astype(int)
    assert np.abs(centre - images.images[:, 10:14, 10:14, 0]).min() <= 1


def test_every_kind_of_picture_has_its_own_values(tmp_path: Path) -> None:
    picture = blocks(8, 10)
    palette = Image.fromarray((picture % 3).astype(np.uint8), "P")
    palette.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    for name, label, expected in (
        ("palette", palette, picture % 3),
        ("deep", Image.fromarray(picture.astype(np.uint16) * 100), picture.astype(np.uint16) * 100),
        ("truth", Image.fromarray(picture > 99), picture > 99),
        ("colour", Image.fromarray(np.stack([picture] * 3, -1)), np.stack([picture] * 3, -1)),
    ):
        write(tmp_path / name / "images", "a.png", picture)
        (tmp_path / name / "labels").mkdir()
        label.save(tmp_path / name / "labels" / "a.png")
        np.testing.assert_array_equal(labels_of(load_images(tmp_path / name, (1, 8, 10)))[0], expected)
    write(tmp_path / "array" / "images", "a.png", picture)
    (tmp_path / "array" / "labels").mkdir()
    np.save(tmp_path / "array" / "labels" / "a.npy", picture / 7)
    np.testing.assert_array_equal(labels_of(load_images(tmp_path / "array", (1, 8, 10)))[0], picture / 7)


def test_a_table_of_numbers(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "more/c.png"):
        write(tmp_path, name, blocks(8, 10))
    table = tmp_path / "labels.csv"
    table.write_text("file,age,happy\na.png,30.5,1\nb.png,40,0\nmore/c.png,2,1\nunused.png,1,1\n")
    found = load_images(tmp_path, (1, 8, 10)).labels_of(("happy", "age"))
    assert found["age"].values.tolist() == [30.5, 40, 2] and found["happy"].values.tolist() == [1, 0, 1]
    first = load_images(tmp_path, (1, 8, 10)).labels_of(("out",))["out"]
    assert first.values.tolist() == [[30.5, 1], [40, 0], [2, 1]]
    table.write_text("b.png,7\na.png,8\nmore/c.png,9\n")
    assert labels_of(load_images(tmp_path, (1, 8, 10), limit=2)).tolist() == [8, 7]


def flaws(folder: Path) -> tuple[str, ...]:
    """Of labels that can be used by nobody; the images can."""
    images = load_images(folder, (1, 8, 10))
    assert len(images) and images.labels is None
    with pytest.raises(UserError) as caught:
        images.labels_of(("out",))
    return caught.value.problems


def test_what_is_wrong_with_labels_is_told_to_those_who_want_them(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    pairs(tmp_path, 9, 12)
    (masks / "0.png").unlink()
    write(masks, "1.png", blocks(8, 12))
    (masks / "2.png").write_bytes(b"nonsense")
    missing, small, nonsense = flaws(tmp_path)
    assert missing == f"{masks / '0.png'}: no such file, so 0.png has no label"
    assert small == f"{masks / '1.png'}: is 8x12, and its picture 9x12"
    assert nonsense.startswith(f"{masks / '2.png'}: cannot identify image file")
    for file in masks.iterdir():
        file.unlink()
    for number in range(3):
        np.save(masks / f"{number}.npy", blocks(9, 12))
    told = flaws(tmp_path)
    assert told[0] == f"{masks / '0.npy'}: an array cannot be cut out as 0.png is; give pictures of 8x10"
    for number in range(3, 9):
        write(tmp_path / "images", f"{number}.png", blocks(8, 10))
    assert flaws(tmp_path)[-1] == "6 more labels like these cannot be used"
    table = tmp_path / "t" / "labels.csv"
    write(tmp_path / "t", "a.png", blocks(8, 10))
    for text, line in {
        "file,age\nb.png,3\n": f"{table}: no row for a.png",
        "a.png,3,x\n": f"{table}: 2 numbers are expected for a.png, but there are 3, x",
        "": f"{table}: no row for a.png",
    }.items():
        table.write_text(text)
        assert flaws(tmp_path / "t") == (line,)
    table.write_bytes(b"\xff\xfe\x00")
    assert flaws(tmp_path / "t")[0].startswith(f"{table}: cannot be read (")


def test_from_masks_to_figures(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1), nn.Sigmoid()).eval()
    nn.init.normal_(net[2].weight, 0, 3)
    pixels = RNG.integers(0, 256, (4, 8, 10), np.uint8)
    truth = pixels > 120
    for number in range(4):
        write(tmp_path / "data" / "images", f"{number}.png", pixels[number])
        write(tmp_path / "data" / "masks", f"{number}.png", truth[number].astype(np.uint8) * 255)
    design = cnn2rtl.compile(net, (1, 8, 10), calibration=pixels[..., None], name="net")
    design.write(tmp_path / "out")
    found = cnn2rtl.evaluate(design, tmp_path / "data")
    answers = design.graph[design.graph.output].out.reals(design.golden(pixels[..., None]))[..., 0] > 0.5
    assert found.integer_accuracy == (answers == truth).mean() and found.judgements[0].kind == "segmentation"
    told = succeed("evaluate", "out", "--data", "data", cwd=tmp_path)
    assert "pixel agreement" in told and "mean IoU" in told and "label \\ hardware" in told
    # Grey pictures of values are 0 to 1, as images are.
    values = cnn2rtl.evaluate(design, tmp_path / "data", task="regression").judgements[0].score.valued
    assert values is not None and values.of_integers is not None
    reals = design.graph[design.graph.output].out.reals(design.golden(pixels[..., None]))[..., 0]
    assert values.of_integers.errors.mean == pytest.approx(np.abs(reals - truth).mean())
    (tmp_path / "data" / "masks" / "1.png").unlink()
    (line,) = mistakes("evaluate", "out", "--data", "data", cwd=tmp_path)
    assert line == "data/masks/1.png: no such file, so 1.png has no label"
    assert "PASS" in succeed("simulate", "out", "--images", "data", "--frames", "1", cwd=tmp_path)
