"""``replay_buffer``: vectors that are read several times."""

from __future__ import annotations

from cnn2rtl.hardware.parts import Memory, Parameters, Parts, clog2, describes
from cnn2rtl.hardware.timing import Replay
from cnn2rtl.hardware.unit import Instance


def replay_buffer(bits: int, words: int, repeat: int) -> tuple[Instance, ...]:
    """Show each vector of ``words`` beats ``repeat`` times; nothing at all for once."""
    if repeat == 1:
        return ()
    parameters = {"WIDTH": bits, "WORDS": words, "REPEAT": repeat}
    timing = Replay(words, repeat)
    return (Instance("replay", "replay_buffer", parameters, bits, bits, timing, timing.vectors * words * bits),)


@describes("replay_buffer")
def replay_buffer_parts(p: Parameters) -> Parts:
    words, repeat = p["WORDS"], p["REPEAT"]
    if repeat == 1:
        return Parts()
    depth = (2 + 8 // (words * repeat) if words * repeat < 8 else 2) * words
    features = {
        "one": 1, "address": clog2(depth), "count": clog2(depth + 1), "word": clog2(words), "repetition": clog2(repeat),
    }  # fmt: skip
    return Parts(features, (Memory(p["WIDTH"], depth, True, p.place),))
