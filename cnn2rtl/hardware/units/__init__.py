"""Verilog units, each known in one place: how it is built, its timing, and the parts that its cost depends on."""

from cnn2rtl.hardware.units import memories  # noqa: F401 - their parts are registered
from cnn2rtl.hardware.units.gearbox import gearbox
from cnn2rtl.hardware.units.joins import stream_add, stream_concat, stream_multiply, stream_select
from cnn2rtl.hardware.units.lanes import lane_foldings, pad_axis
from cnn2rtl.hardware.units.lookup import lookup
from cnn2rtl.hardware.units.mac_array import constants, dot_product, fold_taps, mac_array, mac_timing, slice_beats
from cnn2rtl.hardware.units.reductions import argmax, pool_chain, pool_foldings, tap_reduce
from cnn2rtl.hardware.units.replay_buffer import replay_buffer
from cnn2rtl.hardware.units.requantise import requantise
from cnn2rtl.hardware.units.resample import resample
from cnn2rtl.hardware.units.stream_fifo import fifo, with_depth
from cnn2rtl.hardware.units.window_buffer import tap_choices, window_buffer

__all__ = [
    "argmax",
    "constants",
    "dot_product",
    "fifo",
    "fold_taps",
    "gearbox",
    "lane_foldings",
    "lookup",
    "mac_array",
    "mac_timing",
    "pad_axis",
    "pool_chain",
    "pool_foldings",
    "replay_buffer",
    "requantise",
    "resample",
    "slice_beats",
    "stream_add",
    "stream_concat",
    "stream_multiply",
    "stream_select",
    "tap_choices",
    "tap_reduce",
    "window_buffer",
    "with_depth",
]
