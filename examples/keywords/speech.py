"""Six words as a formant synthesiser says them, in many voices, and their cepstra (MFCC); made up from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATE = 8000
"""Samples per second; a word is a second long."""
FRAME, HOP = 320, 160
"""Samples of which a spectrum is taken, 40 ms, and from one to the next, 20 ms: 49 frames."""
MELS, COEFFICIENTS = 40, 10

VOWELS = {
    "i": (270, 2290, 3010), "e": (530, 1840, 2480), "a": (730, 1090, 2440), "o": (570, 840, 2410),
    "u": (300, 870, 2240), "n": (250, 1000, 2200),
}  # fmt: skip
"""Formants in Hz (Peterson and Barney, 1952, for a man's vowels), and a nasal's."""
NOISES = {"s": (3000, 3900), "p": (300, 1200), "d": (1500, 3000), "g": (800, 2200)}
"""Bands in Hz of what is not sung."""
LOUDNESS = {"n": 0.3, "s": 0.25, "p": 0.5, "d": 0.5, "g": 0.5}

WORDS = {
    "yes": "i:60 e:140 s:200", "no": "n:100 o:150 u:90", "up": "a:130 -:60 p:30",
    "down": "d:25 a:130 u:90 n:120", "stop": "s:130 -:40 d:15 o:130 -:50 p:30", "go": "g:25 o:140 u:120",
}  # fmt: skip
"""What each is made of: a sound, or silence, and how many milliseconds it lasts."""


@dataclass(frozen=True)
class Voice:
    """Who says it, and how: pitch in Hz and how far it falls, size of the throat, slowness, background noise."""

    pitch: float
    fall: float
    throat: float
    slowness: float
    noise: float

    @classmethod
    def any(cls, rng: np.random.Generator) -> Voice:
        return cls(
            rng.uniform(85, 240), rng.uniform(0.05, 0.3), rng.uniform(0.85, 1.2), rng.uniform(0.8, 1.3),
            10 ** rng.uniform(-2.5, -1.3),
        )  # fmt: skip


def words(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cepstra of ``count`` words, float32 (n, 1, frames, coefficients), and the number of each word."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % len(WORDS))
    spoken = [list(WORDS.values())[label] for label in labels]
    return np.stack([cepstra(said(word, Voice.any(rng), rng)) for word in spoken])[:, None], labels


def said(word: str, voice: Voice, rng: np.random.Generator) -> np.ndarray:
    """A second of sound with the word somewhere in it."""
    parts = [part.split(":") for part in word.split()]
    lengths = [int(float(ms) * voice.slowness * rng.uniform(0.85, 1.15) * RATE / 1000) for _, ms in parts]
    sounds = [sound for sound, _ in parts]
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    middles = ends - np.array(lengths) / 2
    t = np.arange(total)
    # Formants glide from the middle of one sound to that of the next; what is not sung borrows its neighbour's.
    sung = [i for i, sound in enumerate(sounds) if sound in VOWELS]
    tracks = [np.interp(t, middles[sung], [VOWELS[sounds[i]][k] * voice.throat for i in sung]) for k in range(3)]
    level = {True: np.zeros(total), False: np.zeros(total)}
    noise = np.zeros(total)
    for sound, end, length in zip(sounds, ends, lengths, strict=True):
        if sound == "-":
            continue
        span = slice(end - length, end)
        level[sound in VOWELS][span] = LOUDNESS.get(sound, 1.0)
        if sound in NOISES:
            noise[span] = _band(rng.normal(size=length), *NOISES[sound])
    smooth = np.hanning(121) / np.hanning(121).sum()
    pitch = voice.pitch * (1 - voice.fall * t / total) * (1 + 0.01 * np.sin(2 * np.pi * 5 * t / RATE))
    spoken = _voiced(pitch, tracks) * np.convolve(level[True], smooth, "same") + noise * level[False]
    samples = np.zeros(RATE)
    start = int(rng.integers(200, max(201, RATE - total - 200)))
    samples[start : start + total] = spoken[: RATE - start] * 10 ** rng.uniform(-0.4, 0.1)
    return samples + voice.noise * rng.normal(size=RATE)


def _voiced(pitch: np.ndarray, tracks: list[np.ndarray]) -> np.ndarray:
    """All overtones below 4 kHz, as loud as the formants let them through."""
    turn = np.exp(2j * np.pi * np.cumsum(pitch) / RATE)
    wave, found = np.ones_like(turn), np.zeros(len(pitch))
    for number in range(1, int(3900 / pitch.max()) + 1):
        wave = wave * turn
        f = number * pitch
        gain = sum(
            weight / np.sqrt(1 + ((f - track) / 70) ** 2) for weight, track in zip((1, 0.6, 0.3), tracks, strict=True)
        )
        found += wave.imag * gain
    return found


def _band(noise: np.ndarray, low: float, high: float) -> np.ndarray:
    """What of ``noise`` lies between two frequencies, of the loudness of a vowel."""
    spectrum, f = np.fft.rfft(noise), np.fft.rfftfreq(len(noise), 1 / RATE)
    found: np.ndarray = np.fft.irfft(np.where((f > low) & (f < high), spectrum, 0), len(noise))
    return found * (0.8 / max(float(found.std()), 1e-9))


def cepstra(sound: np.ndarray) -> np.ndarray:
    """The cepstral coefficients of a second of sound, (frames, coefficients)."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    logs = np.log(power @ _mel_bands().T + 1e-3)
    k, n = np.arange(COEFFICIENTS)[:, None], np.arange(MELS)[None]
    basis = np.cos(np.pi * k * (n + 0.5) / MELS) * np.sqrt(2 / MELS)
    return (logs @ basis.T).astype(np.float32)


def _mel_bands() -> np.ndarray:
    """Triangles, equally wide on the mel scale, over the bins of a spectrum: (bands, bins)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(30, top, MELS + 2) / 2595) - 1)
    f = np.fft.rfftfreq(512, 1 / RATE)[None]
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(0, np.minimum((f - low) / (middle - low), (high - f) / (high - middle)))
