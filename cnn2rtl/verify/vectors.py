"""Test vectors: what travels on each stream, as the testbench reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from cnn2rtl.design import Stream
from cnn2rtl.graph import QuantGraph, QuantNode
from cnn2rtl.hardware.unit import ceil_div
from cnn2rtl.quant.qformat import IntArray


def beats(codes: IntArray, stream: Stream) -> bytes:
    """``codes`` (n, h, w, c) beat by beat: channel 0 of a beat in the lowest bits, whole bytes, highest first.

    Lanes beyond the last channel are zero.
    """
    bits, lanes = stream.format.bits, stream.lanes
    pixels = codes.reshape(-1, codes.shape[-1])
    padded = np.zeros((len(pixels), stream.pixel_beats * lanes), np.uint16)
    padded[:, : pixels.shape[1]] = pixels.astype(np.uint16) & ((1 << bits) - 1)
    # One row of bits per beat, lowest first.
    words = padded.reshape(-1, lanes, 1).astype("<u2").view(np.uint8)
    flags = np.unpackbits(words, axis=-1, bitorder="little")[:, :, :bits].reshape(len(words), lanes * bits)
    size = ceil_div(lanes * bits, 8)
    row = np.zeros((len(flags), size * 8), np.uint8)
    row[:, : lanes * bits] = flags
    return np.packbits(row, axis=-1, bitorder="little")[:, ::-1].tobytes()


def frame_vectors(graph: QuantGraph, streams: Mapping[str, Stream], image: np.ndarray) -> dict[str, bytes]:
    """File name and contents for every stream (given by its node's name): one frame of ``image`` (h, w, c)."""
    files: dict[str, bytes] = {}

    def keep(node: QuantNode, codes: IntArray) -> None:
        stream = streams[node.name]
        files[f"{stream.name}.bin"] = beats(codes, stream)

    graph.run(np.asarray(image)[None], keep)
    return files


def write_vectors(
    folder: Path,
    graph: QuantGraph,
    streams: Mapping[str, Stream],
    images: np.ndarray,
    on_image: Callable[[], None] = lambda: None,
) -> None:
    """Golden vectors of ``images`` (n, h, w, c), raw pixels, one frame after the other in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for stream in streams.values():
        (folder / f"{stream.name}.bin").write_bytes(b"")
    for image in images:
        for name, data in frame_vectors(graph, streams, image).items():
            with (folder / name).open("ab") as file:
                file.write(data)
        on_image()
