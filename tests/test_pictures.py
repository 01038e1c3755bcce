"""Pictures of every kind: each is scaled by the range that its kind of file has, and what was done to it is told."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnn2rtl import Notice, UserError
from cnn2rtl.images import load_images

RAMP = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
BYTES = np.arange(256, dtype=np.uint8).reshape(16, 16)
GREY, RGB = (1, 16, 16), (3, 16, 16)


def read(source: object, shape: tuple[int, int, int] = GREY, **kwargs: Any) -> tuple[np.ndarray, list[str]]:
    """The images in ``source``, (n, h, w, c), and what was told of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = load_images(source, shape, **kwargs)  # type: ignore[arg-type]
    assert all(issubclass(each.category, Notice) for each in caught), caught
    return found.images, [str(each.message) for each in caught]


def refusal(source: object, shape: tuple[int, int, int] = GREY) -> str:
    with pytest.raises(UserError) as caught:
        load_images(source, shape)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    return problem


def tiff(path: Path, values: np.ndarray, bits: int, kind: int = 1, zero: int = 1, order: str = "<") -> None:
    """A grey TIFF of ``values``; ``kind`` is the sample format, ``zero`` the photometric interpretation."""
    if bits == 12:
        flat = values.reshape(-1, 2).astype(np.uint32)
        words = (flat[:, 0] << 12 | flat[:, 1]).astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
        data = words.tobytes()
    else:
        data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    height, width = values.shape
    tags = {
        256: width, 257: height, 258: bits, 259: 1, 262: zero, 273: 8, 277: 1, 278: height, 279: len(data), 339: kind,
    }  # fmt: skip
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data))
    path.write_bytes(head + data + struct.pack(order + "H", len(tags)) + entries + bytes(4))


def test_more_than_8_bits_are_scaled_by_their_own_range(tmp_path: Path) -> None:
    deep = "the picture: 0 to 65535 became 0 to 255; the largest value was 65535"
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP).save(tmp_path / "a.tif")
    Image.fromarray((RAMP / 65535).astype(np.float32)).save(tmp_path / "f.tif")
    tiff(tmp_path / "big.tif", RAMP, 16, order=">")
    tiff(tmp_path / "white.tif", 65535 - RAMP, 16, zero=0)
    tiff(tmp_path / "12.tif", np.rint(RAMP / 65535 * 4095).astype(np.uint16), 12)
    (tmp_path / "a.pgm").write_bytes(b"P5 16 16 65535\n" + RAMP.astype(">u2").tobytes())
    ten = np.rint(RAMP / 65535 * 1023).astype(">u2")
    (tmp_path / "10.pgm").write_bytes(b"P5 16 16 1023\n" + ten.tobytes())
    for name, said in {
        "a.png": deep,
        "a.tif": deep,
        "big.tif": deep,
        "white.tif": deep,
        "a.pgm": deep,
        "10.pgm": deep,
        "f.tif": "the picture: 0 to 1 became 0 to 255; the largest value was 1",
        "12.tif": "the picture: 0 to 4095 became 0 to 255; the largest value was 4095",
    }.items():
        images, told = read(tmp_path / name)
        np.testing.assert_array_equal(images[0, :, :, 0], BYTES, err_msg=name)
        assert told == [said], name


def test_16_bits_of_colour_are_told(tmp_path: Path) -> None:
    """Pillow keeps the higher bytes, and says nothing."""
    rows = np.stack([RAMP, RAMP.T, RAMP[::-1]], axis=-1).astype(">u2")
    (tmp_path / "a.ppm").write_bytes(b"P6 16 16 65535\n" + rows.tobytes())
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    png(tmp_path / "a.png", 16, 2, raw)
    images, told = read(tmp_path / "a.png", RGB)
    assert np.abs(images[0].astype(int) - np.stack([BYTES, BYTES.T, BYTES[::-1]], -1)).max() <= 1
    assert told == ["the picture: 0 to 65535 became 0 to 255; the largest value was 65535"]
    np.testing.assert_array_equal(read(tmp_path / "a.ppm", RGB)[0][0], np.stack([BYTES, BYTES.T, BYTES[::-1]], -1))
    png(tmp_path / "dark.png", 16, 2, b"".join(b"\0" + (row // 16).astype(">u2").tobytes() for row in rows))
    assert "nothing in the pictures with values of 0 to 65535, the picture, is above 4095" in refusal(
        tmp_path / "dark.png", RGB
    )


def png(path: Path, bits: int, colour: int, raw: bytes) -> None:
    """A PNG of 16x16 pixels from its ``raw`` rows."""
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 16, 16, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_12_bits_in_16_are_refused(tmp_path: Path) -> None:
    """As pictures of 16 bits they would be black; one that is bright shows that they are no such."""
    for number in range(3):
        Image.fromarray((RAMP >> 4) // (number + 1)).save(tmp_path / f"{number}.png")
    assert refusal(tmp_path) == (
        "nothing in the pictures with values of 0 to 65535, 3 of 3 pictures, is above 4095: all would be nearly "
        "black. If their values are of 12 bits, multiply them by 16, or save them in 8 bits"
    )
    Image.fromarray(RAMP).save(tmp_path / "3.png")
    images, told = read(tmp_path)
    assert images.max() == 255 and told[0].startswith("4 of 4 pictures: 0 to 65535 became")


def test_numbers_without_a_sure_white_are_refused(tmp_path: Path) -> None:
    sure = "of which none is sure to be white; save it in 8 or 16 bits without a sign, or give the images as an array"
    tiff(tmp_path / "s16.tif", (RAMP.astype(np.int32) - 32768).astype(np.int16), 16, kind=2)
    assert refusal(tmp_path / "s16.tif") == f"{tmp_path}/s16.tif: holds signed numbers of 16 bits, {sure}"
    Image.fromarray(RAMP.astype(np.int32)).save(tmp_path / "i.tif")
    assert refusal(tmp_path / "i.tif") == f"{tmp_path}/i.tif: holds signed numbers of 32 bits, {sure}"
    for low, high in ((0, 255), (-1, 1)):
        values = np.linspace(low, high, 256, dtype=np.float32).reshape(16, 16)
        Image.fromarray(values).save(tmp_path / "f.tif")
        assert refusal(tmp_path / "f.tif") == (
            f"{tmp_path}/f.tif: the values go from {low} to {high}, and 0 to 1 are black to white in such a file; "
            "scale them, or save them in 8 bits"
        )
    Image.fromarray(np.full((16, 16), np.nan, np.float32)).save(tmp_path / "n.tif")
    assert refusal(tmp_path / "n.tif") == f"{tmp_path}/n.tif: 256 of 256 values are NaN or infinite"


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA"])
def test_kinds_of_8_bits_need_no_word(tmp_path: Path, mode: str) -> None:
    """Truth values are black and white, palettes are looked up, what is wholly opaque loses nothing."""
    picture = Image.fromarray(BYTES).convert(mode)
    picture.save(tmp_path / "a.png")
    images, told = read(tmp_path / "a.png")
    np.testing.assert_array_equal(images[0, :, :, 0], np.asarray(picture.convert("L")))
    assert images.max() == 255 and all("right for black and white alone" in line for line in told)
    assert len(told) == (mode == "1")


def test_what_is_left_out_of_a_picture_is_told(tmp_path: Path) -> None:
    glass = np.dstack([BYTES] * 4)
    Image.fromarray(glass).save(tmp_path / "rgba.png")
    images, told = read(tmp_path / "rgba.png", RGB)
    np.testing.assert_array_equal(images[0], glass[..., :3])
    assert told == ["the picture: partly transparent; that was left out of account"]
    palette = Image.fromarray(BYTES).convert("P")
    palette.save(tmp_path / "p.png", transparency=7)
    assert read(tmp_path / "p.png", RGB)[1] == told
    Image.fromarray(glass[..., :3]).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert read(tmp_path / "cmyk.jpg", RGB)[1] == ["the picture: CMYK, taken as RGB without a colour profile"]
    pages = [Image.fromarray(BYTES), Image.fromarray(BYTES.T.copy())]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    images, told = read(tmp_path / "pages.tif")
    np.testing.assert_array_equal(images[0, :, :, 0], BYTES)
    assert told == ["the picture: several pictures in the file; the first was taken"]


@pytest.mark.parametrize("kind", ["png", "tif", "jpg"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_photographs_are_turned_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = {2: BYTES[:, ::-1], 3: BYTES[::-1, ::-1], 6: np.rot90(BYTES, 1), 8: np.rot90(BYTES, -1)}[orientation]
    Image.fromarray(np.ascontiguousarray(lying)).save(tmp_path / f"a.{kind}", exif=exif, quality=100)
    images, told = read(tmp_path / f"a.{kind}")
    assert np.abs(images[0, :, :, 0].astype(int) - BYTES).max() <= (3 if kind == "jpg" else 0)
    assert told == ["the picture: turned upright, as their EXIF orientation says"]


def test_how_much_is_cut_away_is_told(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    smaller, whole_ones = '`fit="resize"` makes pictures smaller first, ', '`fit="squash"` keeps all of them'
    for fit, size, cut, remedy in (
        ("crop", (8, 8), "96.88 %", f"; {smaller}{whole_ones}"),
        ("crop", (60, 32), "6.25 %", ""),
        ("resize", (8, 8), "50 %", ""),
        ("resize", (4, 16), "87.5 %", f"; {whole_ones}"),
        ("resize", (16, 8), "", ""),
        ("squash", (8, 8), "", ""),
        ("crop", (64, 32), "", ""),
    ):
        images, told = read(tmp_path / "a.png", (3, *size), fit=fit)
        assert told == ([f'`fit="{fit}"` cuts {cut} of the pictures\' area away{remedy}'] if cut else []), (fit, size)
        if fit == "squash":
            whole = Image.fromarray(colours).resize(size[::-1], Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(images[0], np.asarray(whole))


def test_channels_in_the_order_of_the_network(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png", RGB, channels="bgr")[0][0], colours[..., ::-1])
    # The order of an array is what it is.
    np.save(tmp_path / "a.npy", colours[None])
    np.testing.assert_array_equal(read(tmp_path / "a.npy", RGB, channels="bgr")[0][0], colours)
    with pytest.raises(UserError, match="`channels=bgr`: the network's input has one channel; leave it out"):
        load_images(tmp_path / "a.png", GREY, channels="bgr")
