"""Readings of a three-axis accelerometer: 16 bits, two's complement, 4096 to the g; made up from a seed."""

from __future__ import annotations

import numpy as np

KINDS = ("resting", "walking", "running", "shaking", "falling")
RATE = 50
"""Readings per second."""
LENGTH = 128
PER_G = 4096
"""What a sensor with a range of 8 g and 16 bits makes of one g."""


def readings(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``count`` windows, int16 (n, 3, length), and the number of the kind that each shows."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % len(KINDS))
    in_g = np.stack([_window(KINDS[label], rng) for label in labels])
    return np.clip(np.rint(in_g * PER_G), -32768, 32767).astype(np.int16), labels


def _window(kind: str, rng: np.random.Generator) -> np.ndarray:
    """One window in g, (3, length): the sensor lies in any direction, and is no better than real ones are."""
    t = np.arange(LENGTH) / RATE
    down, aside = _directions(rng)
    motion = {"walking": _steps, "running": _steps, "shaking": _shaking}.get(kind, _nothing)(kind, t, rng)
    found = np.outer(down, 1 + motion[0]) + np.outer(aside, motion[1])
    if kind == "falling":
        found = _fall(found, down, rng)
    return found + rng.normal(0, 0.02, found.shape) + rng.normal(0, 0.03, (3, 1))


def _directions(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where the earth is, and some direction across."""
    down, other = rng.normal(size=(2, 3))
    down /= np.linalg.norm(down)
    aside = np.cross(down, other)
    return down, aside / np.linalg.norm(aside)


def _nothing(kind: str, t: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    sway = 0.03 * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * t + rng.uniform(0, 6))
    return sway, -sway


def _steps(kind: str, t: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bounce with every step, with its overtone; a sway with every other."""
    pace, height = (rng.uniform(1.5, 2.3), rng.uniform(0.15, 0.5))
    if kind == "running":
        pace, height = rng.uniform(2.3, 3.3), rng.uniform(0.7, 2.0)
    phase = 2 * np.pi * pace * t + rng.uniform(0, 6)
    bounce = height * (np.sin(phase) + rng.uniform(0.2, 0.5) * np.sin(2 * phase + rng.uniform(0, 6)))
    return bounce, rng.uniform(0.2, 0.6) * height * np.sin(phase / 2)


def _shaking(kind: str, t: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """To and fro across, fast, and hardly up and down."""
    phase = 2 * np.pi * rng.uniform(4, 8) * t + rng.uniform(0, 6)
    strength = rng.uniform(0.5, 2.5)
    return 0.1 * strength * np.sin(2 * phase), strength * np.sin(phase)


def _fall(found: np.ndarray, down: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nothing weighs anything for a while; then the floor, from any side."""
    begin, air = rng.integers(8, 60), rng.integers(14, 28)
    end = begin + air
    found[:, begin:end] *= 0.08
    ringing = np.exp(-np.arange(LENGTH - end) / rng.uniform(2, 6)) * np.cos(
        np.arange(LENGTH - end) * rng.uniform(0.8, 2)
    )
    lying = _directions(rng)[0]
    found[:, end:] = np.outer(lying, 1 + rng.uniform(3, 6.5) * ringing)
    return found
