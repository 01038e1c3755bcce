"""Images from folders, files and arrays: raw pixels, in a fixed order, or one message that names what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models import need_data
from PIL import Image

from cnn2rtl.errors import UserError
from cnn2rtl.images import ImageSet, Pixels, load_images
from cnn2rtl.tensors import Shape

RGB = (3, 8, 8)


def write(path: Path, height: int, width: int, seed: int = 0, mode: str = "RGB") -> Pixels:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels, mode).save(path)
    return pixels


def refusal(source: object, shape: Shape = RGB, **kwargs: object) -> str:
    with pytest.raises(UserError) as caught:
        load_images(source, shape, **kwargs)  # type: ignore[arg-type]
    return str(caught.value)


def test_folder_of_classes(tmp_path: Path) -> None:
    pixels = {}
    for i, name in enumerate(["b/2.png", "b/1.PNG", "a/9.bmp", "c/1.ppm"]):
        pixels[name] = write(tmp_path / name, 8, 8, i)
    (tmp_path / "aa").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("no image")
    write(tmp_path / ".cache" / "x.png", 8, 8)
    images = load_images(tmp_path, RGB)
    assert images.images.dtype == np.uint8 and images.images.shape == (4, 8, 8, 3) and len(images) == 4
    assert images.names == ("a/9.bmp", "b/1.PNG", "b/2.png", "c/1.ppm")
    assert images.class_names == ("a", "aa", "b", "c") and images.labels == (0, 2, 2, 3)
    for image, name in zip(images.images, images.names, strict=True):
        np.testing.assert_array_equal(image, pixels[name])


def test_folder_without_classes(tmp_path: Path) -> None:
    write(tmp_path / "b.png", 8, 8)
    write(tmp_path / "x" / "a.png", 8, 8)
    write(tmp_path / "x" / "y" / "c.png", 8, 8)
    images = load_images(str(tmp_path), RGB)
    assert images.names == ("b.png", "x/a.png", "x/y/c.png")
    assert images.labels is None and images.class_names == ()


def test_limit_is_spread_over_the_classes(tmp_path: Path) -> None:
    for name, count in (("a", 5), ("b", 1), ("c", 4)):
        for i in range(count):
            write(tmp_path / name / f"{i}.png", 8, 8)
    assert load_images(tmp_path, RGB, limit=6).names == (
        "a/0.png",
        "a/1.png",
        "a/2.png",
        "b/0.png",
        "c/0.png",
        "c/1.png",
    )
    assert load_images(tmp_path, RGB, limit=2).names == ("a/0.png", "b/0.png")
    assert load_images(tmp_path, RGB, limit=99).names == load_images(tmp_path, RGB).names
    flat = load_images(tmp_path / "a", RGB, limit=2)
    assert flat.names == ("0.png", "1.png") and flat.labels is None
    assert refusal(tmp_path, limit=0) == "a limit of 0 images leaves none"


def test_files(tmp_path: Path) -> None:
    pixels = write(tmp_path / "a.png", 8, 8)
    write(tmp_path / "b.png", 8, 8, 1)
    one = load_images(tmp_path / "a.png", RGB)
    np.testing.assert_array_equal(one.images[0], pixels)
    assert one.labels is None and one.names == (str(tmp_path / "a.png"),)
    two = load_images([tmp_path / "b.png", str(tmp_path / "a.png")], RGB)
    assert two.names == (str(tmp_path / "b.png"), str(tmp_path / "a.png"))
    assert len(load_images([tmp_path / "b.png", tmp_path / "a.png"], RGB, limit=1)) == 1


def test_crop_takes_the_centre(tmp_path: Path) -> None:
    pixels = write(tmp_path / "a.png", 12, 17)
    image = load_images(tmp_path / "a.png", (3, 8, 10)).images[0]
    np.testing.assert_array_equal(image, pixels[2:10, 4:14])


@pytest.mark.parametrize(("height", "width"), [(30, 20), (20, 30), (5, 9), (8, 8), (341, 512)])
def test_resize_covers_and_crops(tmp_path: Path, height: int, width: int) -> None:
    gradient = np.linspace(0, 255, height)[:, None, None] * np.ones((1, width, 3))
    Image.fromarray(gradient.astype(np.uint8)).save(tmp_path / "a.png")
    image = load_images(tmp_path / "a.png", RGB, fit="resize").images[0]
    assert image.shape == (8, 8, 3)
    rows = image.mean((1, 2))
    assert (np.diff(rows) > 0).all()
    # The whole of the shorter side is seen.
    if height <= width:
        assert rows[0] < 40 and rows[-1] > 215


def test_colour_follows_the_network(tmp_path: Path) -> None:
    write(tmp_path / "grey.png", 8, 8, mode="L")
    write(tmp_path / "rgba.png", 8, 8, mode="RGBA")
    assert load_images(tmp_path, RGB).images.shape == (2, 8, 8, 3)
    assert load_images(tmp_path, (1, 8, 8)).images.shape == (2, 8, 8, 1)
    assert "image files have 1 or 3 channels, but the network's input has 4" in refusal(tmp_path, (4, 8, 8))


def test_all_bad_files_at_once(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 8, 8)
    write(tmp_path / "b.png", 7, 20)
    (tmp_path / "c.png").write_bytes(b"nonsense")
    (tmp_path / "d.jpg").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(UserError) as caught:
        load_images([tmp_path / f for f in ("a.png", "b.png", "c.png", "d.jpg", "e.png")], RGB)
    small, nonsense, cut, missing = caught.value.problems
    assert small == f'{tmp_path / "b.png"}: 7x20 pixels are too few to crop 8x8 from; use `fit="resize"`'
    assert nonsense.startswith(f"{tmp_path / 'c.png'}: not a readable image (")
    assert cut.startswith(f"{tmp_path / 'd.jpg'}: not a readable image (")
    assert missing == f"{tmp_path / 'e.png'}: no such file"


def test_nothing_to_load(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    assert f"{tmp_path}: holds no images (.bmp, .gif, .jpeg" in refusal(tmp_path)
    assert refusal(tmp_path / "absent") == f"{tmp_path / 'absent'}: no such file or folder"
    assert refusal([]) == "no image files are given"


PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3), np.uint8)
SHAPE = (3, 8, 10)


def check(images: ImageSet, path: Path) -> None:
    assert images.images.dtype == np.uint8 and images.images.flags.c_contiguous
    np.testing.assert_array_equal(images.images, PIXELS)
    assert images.names[0] == f"{path}[0]"


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind", ["uint8", "int64", "float32"])
def test_arrays(tmp_path: Path, kind: str, first: bool) -> None:
    array = (PIXELS / np.float32(255)) if kind == "float32" else PIXELS.astype(kind)
    array = array.transpose(0, 3, 1, 2) if first else array
    labels = np.arange(6)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "images.npz", images=array, labels=labels)
    np.savez(tmp_path / "x.npz", x=array, y=labels[:, None])
    torch.save(torch.from_numpy(array.copy()), tmp_path / "tensor.pt")
    torch.save((torch.from_numpy(array.copy()), torch.from_numpy(labels)), tmp_path / "pair.pt")
    torch.save({"x": torch.from_numpy(array.copy()), "labels": torch.from_numpy(labels)}, tmp_path / "dict.pt")
    for name in ("a.npy", "tensor.pt"):
        images = load_images(tmp_path / name, SHAPE)
        check(images, tmp_path / name)
        assert images.labels is None
    for name in ("images.npz", "x.npz", "pair.pt", "dict.pt"):
        images = load_images(tmp_path / name, SHAPE)
        check(images, tmp_path / name)
        assert images.labels == (0, 1, 2, 3, 4, 5) and images.class_names == ()


def test_arrays_of_another_white(tmp_path: Path) -> None:
    for array, remedy in (
        (PIXELS.astype(np.float32), "if 255 is white, divide them by 255, or give them as uint8"),
        (PIXELS.astype(np.uint16) * 16, "if 4095 is white, give them as floats, divided by 4095"),
        (PIXELS.astype(np.int64) * 257, "if 65535 is white, give them as floats, divided by 65535"),
        (PIXELS / 127.5 - 1, "leave the normalisation out, the hardware does it"),
    ):
        np.save(tmp_path / "a.npy", array)
        assert f"floats of 0 to 1: {remedy}. If these are no pictures" in refusal(tmp_path / "a.npy", SHAPE)
    # Interpolation overshoots a little.
    np.save(tmp_path / "a.npy", np.where(PIXELS == 255, np.float32(1.0000001), PIXELS / np.float32(255)) - 1e-8)
    np.testing.assert_array_equal(load_images(tmp_path / "a.npy", SHAPE).images, PIXELS)


def test_truth_values_are_black_and_white(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS > 99)
    np.testing.assert_array_equal(load_images(tmp_path / "a.npy", SHAPE).images, np.where(PIXELS > 99, 255, 0))


def test_labels_of_other_kinds_are_targets_and_wrong_ones_stop_nobody_who_wants_none(tmp_path: Path) -> None:
    path, ages, masks = tmp_path / "a.npz", np.arange(6.0), np.arange(6 * 80).reshape(6, 8, 10)
    np.savez(path, x=PIXELS, y=ages, masks=masks, scale=np.ones(3), comment="text")
    some = load_images(path, SHAPE, limit=2)
    assert some.labels is None and sorted(some.targets) == ["labels", "masks"]
    found = some.labels_of(("age", "masks"))
    np.testing.assert_array_equal(found["age"].values, ages[:2])
    np.testing.assert_array_equal(found["masks"].values, masks[:2])
    np.testing.assert_array_equal(some.every(2, 1).labels_of(("age",))["age"].values, [1.0])
    np.savez(path, x=PIXELS, y=np.arange(5))
    wrong = load_images(path, SHAPE)
    assert len(wrong) == 6 and wrong.labels is None
    with pytest.raises(UserError, match="the labels are 5 of int64; one for each of the 6 images is expected"):
        wrong.labels_of(("age",))


def test_array_limit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=PIXELS, y=np.array([1, 1, 1, 0, 0, 1]))
    images = load_images(tmp_path / "a.npz", SHAPE, limit=3)
    assert images.labels == (1, 0, 0) and images.names[2] == f"{tmp_path / 'a.npz'}[4]"
    np.testing.assert_array_equal(images.images, PIXELS[[0, 3, 4]])


def test_grey_arrays_and_ambiguous_orders(tmp_path: Path) -> None:
    grey = PIXELS[..., 0]
    for name, array in (("a", grey), ("b", grey[..., None]), ("c", grey[:, None])):
        np.save(tmp_path / f"{name}.npy", array)
        np.testing.assert_array_equal(load_images(tmp_path / f"{name}.npy", (1, 8, 10)).images[..., 0], grey)
    cube = np.random.default_rng(1).integers(0, 256, (2, 3, 3, 3), np.uint8)
    np.save(tmp_path / "cube.npy", cube)
    np.testing.assert_array_equal(load_images(tmp_path / "cube.npy", (3, 3, 3)).images, cube)
    torch.save(torch.from_numpy(cube), tmp_path / "cube.pt")
    np.testing.assert_array_equal(load_images(tmp_path / "cube.pt", (3, 3, 3)).images, cube.transpose(0, 2, 3, 1))


def test_array_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"

    def of(**arrays: object) -> str:
        np.savez(path, **arrays)  # type: ignore[arg-type]
        return refusal(path, SHAPE)

    assert "the images are 6x8x8x3; n x 8x10x3 or n x 3x8x10 expected" in of(x=PIXELS[:, :, :8])
    assert "the images are 8x10x3; n x" in of(x=PIXELS[0])
    assert f"{path}: holds no images" in of(x=PIXELS[:0])
    assert "holds pictures; `images` (or `x`) is expected" in of(pictures=PIXELS)
    normalised = of(x=PIXELS.astype(np.float32) / 64 - 2)
    assert "the values go from -2 to 1.98438; raw pixels are expected" in normalised and "normalisation" in normalised
    assert "1440 of 1440 values are NaN or infinite; raw pixels are" in of(x=np.full(PIXELS.shape, np.nan))
    assert "the values go from 0 to 300" in of(x=np.array([0, 300] * 720).reshape(PIXELS.shape))
    assert "the images are of type complex128; raw pixels (uint8) are expected" in of(x=PIXELS * 1j)
    assert "cannot be read as .npz (Object arrays cannot be loaded" in of(x=np.array([{}], object))
    path.write_bytes(b"nonsense")
    assert f"{path}: cannot be read as .npz (" in refusal(path)
    (tmp_path / "a.npy").write_bytes(b"")
    assert "cannot be read as .npy (" in refusal(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", x=PIXELS)
    torch.save(["a", "b"], tmp_path / "a.pt")
    assert "holds a str where an array of images is expected" in refusal(tmp_path / "a.pt")
    torch.save(torch.zeros(1, 3, 8, 10, dtype=torch.bfloat16), tmp_path / "a.pt")
    assert "cannot be read as .pt (" in refusal(tmp_path / "a.pt")


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


def test_a_pickle_never_runs(tmp_path: Path) -> None:
    torch.save(Evil(tmp_path / "marker"), tmp_path / "a.pt")
    assert "cannot be read as .pt" in refusal(tmp_path / "a.pt")
    np.save(tmp_path / "a.npy", np.array([Evil(tmp_path / "marker")], object), allow_pickle=True)
    assert "cannot be read as .npy" in refusal(tmp_path / "a.npy")
    assert not (tmp_path / "marker").exists()


def test_shared_food_images() -> None:
    images = load_images(need_data("food"), (3, 128, 128), fit="resize", limit=20)
    assert images.images.shape == (20, 128, 128, 3) and len(images.class_names) == 10
    assert images.labels == tuple(sorted(list(range(10)) * 2))
    assert (images.images.std((1, 2, 3)) > 5).all()
    assert len(load_images(need_data("food"), (3, 128, 128), limit=3)) == 3


def test_skipped_files_are_named_and_the_others_kept(tmp_path: Path) -> None:
    good = {name: write(tmp_path / name, 8, 8, i) for i, name in enumerate(("a/1.png", "a/3.png", "b/2.png"))}
    (tmp_path / "a/2.png").write_bytes((tmp_path / "a/1.png").read_bytes()[:60])
    (tmp_path / "b/1.png").write_bytes(b"")
    bad: list[str] = []
    done: list[tuple[int, int]] = []
    images = load_images(tmp_path, RGB, skip=bad.append, progress=lambda *counts: done.append(counts))
    assert images.names == tuple(good) and images.labels == (0, 0, 1) and images.class_names == ("a", "b")
    for image, pixels in zip(images.images, good.values(), strict=True):
        np.testing.assert_array_equal(image, pixels)
    assert [line.split(": not a readable image (")[0] for line in bad] == [f"{tmp_path}/a/2.png", f"{tmp_path}/b/1.png"]
    assert done == [(i, 5) for i in range(1, 6)]
    # Where nothing is left, nothing can be skipped.
    for name in good:
        (tmp_path / name).write_bytes(b"x")
    assert len(refusal(tmp_path, skip=bad.append).splitlines()) == 5 and len(bad) == 2


def test_some_of_the_images(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        write(tmp_path / name, 8, 8, len(name))
    images = load_images(tmp_path, RGB)
    some = images.take([2, 0])
    assert some.names == ("b/1.png", "a/1.png") and some.labels == (1, 0) and some.class_names == ("a", "b")
    np.testing.assert_array_equal(some.images, images.images[[2, 0]])
