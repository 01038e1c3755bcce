"""What other packages say when they fail, in our own words: the one place that knows theirs.

An exception of torch's tells what went wrong inside torch. What reaches the user says instead what the network does
that it should not, and where. What has no words here is told by its place alone, and only who looks for a fault is
shown the rest.
"""

from __future__ import annotations

import linecache
import os
import re
import sysconfig
import traceback
from pathlib import Path

DEBUG = "CNN2RTL_DEBUG"
"""The environment variable with which messages tell the foreign words as well."""

_WRONG_SIZE: dict[str, str] = {
    r"Given \w+=\d+, .*?weight of size .* to have (\d+) channels, but got (\d+)": "takes {0} channels, but gets {1}",
    r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)": "takes {1} values, but gets {0}",
    r"size mismatch, got .*?,\s*\d+x(\d+),\s*(\d+)": "takes {0} values, but gets {1}",
    r"running_mean should contain (\d+) elements not (\d+)": "takes {1} channels, but gets {0}",
    r"divisible by num_groups": "gets channels that cannot be divided into its groups",
    r"Given normalized_shape=\[(.*?)\], expected .*? got input of size\s*\[(.*?)\]": (
        "normalises tensors that end in ({0}), but gets one of ({1})"
    ),
    r"must be equal to input_size\. Expected (\d+), got (\d+)": "takes {0} values per step, but gets {1}",
    r"inconsistent input_size: got (\d+),? expected (\d+)": "takes {1} values, but gets {0}",
    r"embedding dimension of (\d+), but got (\d+)": "takes {0} values per position, but gets {1}",
    r"input size per channel: \((.*?)\)\. Kernel size: \((.*?)\)": (
        "has a window of {1}, for which there is no room on a map of {0}, borders included"
    ),
    r"Given input size: \((.*?)\)\. Calculated output size: .* too small": "leaves nothing of a map of {0}",
    r"Output size is too small|non-?zero|non-empty|numel\(\) == 0": "gets or leaves a map in which there is nothing",
    r"adding size should be less than the corresponding input dimension": "has a mirrored border wider than its map",
    r"Sizes of tensors must match except in dimension (\d+)\. Expected.*? (\d+) .*?but got.*? (\d+)": (
        "joins maps of different sizes along dimension {0}: where the others must agree, {1} meets {2}"
    ),
    r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)": (
        "combines tensors of different sizes: {0} meets {1} in dimension {2}"
    ),
    r"shape '\[(.*?)\]' is invalid for input of size (\d+)": "views {1} values as ({0}), which do not go together",
    r"Provided sizes \[(.*?)\] don't multiply up to the size of dim .*? \((\d+)\)": (
        "views {1} values as ({0}), which do not go together"
    ),
    r"pixel_(?:un)?shuffle expects": "moves pixels and channels of a map whose size its factor does not divide",
    r"[Ii]ndex .*out of|[Dd]imension out of|out of range for|start \(.*\) \+ length|too many indices": (
        "takes what is not there out of a tensor"
    ),
    r"einsum\(\)": "multiplies tensors of other sizes than its equation says",
    r"expanded size of the tensor|[Ee]xpected size|must match|inconsistent tensor size": (
        "combines tensors of different sizes"
    ),
}
"""What torch says where sizes do not fit, and what the layer or the forward() does of which it was said."""

_SIZE = "is the input's size the one that the model was made for?"

_RANK = "a series is `example=(9, 128)`, an image `example=(3, 128, 128)`"
_BRANCHES = (
    "depends on the values of a tensor in what it does; hardware does the same for all, without if, while, float() or "
    ".item() of values: leave that out of forward(), or compute both ways and combine them"
)
_NUMPY = "leaves torch for numpy, where nobody can follow; use torch's own functions"
_TYPES = "mixes types of numbers; convert the whole model with .float()"
_DEVICE = "asks for another device than the CPU; move the whole model there with .cpu(), and forward() with it"
_QUANTISED = "is quantised by torch itself; give the network in floats, or as ONNX"
_MEMORY = "asks for more memory than there is"

_OTHER: dict[str, str] = {
    r"Expected \d+D .* but got input of size: \[(.*?)\]": f"takes other tensors than one of ({{0}}); {_RANK}",
    r"expected (.*?)D input \(got (\d)D input\)": f"takes a tensor of {{0}} dimensions, but gets one of {{1}}; {_RANK}",
    r"pad should be at most half of": "has a border of more than half of its window",
    r"'indices'|scalar types: Long": "looks up values by whole numbers, which is no function of pixels",
    r"expected scalar type|same dtype|should be the same|not implemented for '|dtype .* did not match": _TYPES,
    r"[Cc]omplex": "computes with complex numbers, which hardware does not; compute them before the network",
    r"same device|different device|accelerator|with CUDA|No CUDA|NVIDIA driver": _DEVICE,
    r"meta tensor": "has no numbers yet (it lies on the meta device); load its weights first",
    r"singular": "inverts a matrix that has no inverse",
    r"not enough memory|out of memory|bad_alloc": _MEMORY,
    r"quantized::|PackedParams|QuantizedCPU": _QUANTISED,
    r"data-dependent|DataDependent|HigherOrderOperator|only (?:one element|integer) tensors|Eq\(u\d": _BRANCHES,
    r"Boolean value of Tensor": _BRANCHES,
    r"numpy": _NUMPY,
    r"Found <class '(?:.*\.)?(.*?)'> in output": (
        "returns an object of class `{0}`; let it return a tensor, or a tuple, list or dict of these"
    ),
    r"maximum recursion depth": "calls itself without an end",
    r"missing the required \"forward\" function": "is missing; give the network that it is a part of",
    r"missing \d+ required (?:keyword-only|positional) arguments?: (.*)": (
        "needs {0} besides the input; give these a default, or write a module that passes them"
    ),
    r"received an invalid combination of arguments|\): argument '.*' \(position \d+\) must be": (
        "calls a function of torch's with arguments that it does not take"
    ),
    r"'(\w+)' object has no attribute '(\w+)'": "asks a {0} for `{1}`, which it does not have",
    r"No module named '(.+?)'": "needs the Python module `{0}`, which is not installed",
    r"Can't get attribute '(\w+)' on <module '(.+?)'": "needs `{0}`, which the Python module `{1}` does not have",
    r"Can't get attribute '(\w+)'": "needs `{0}`, which no Python module here has",
    r"cannot pickle '(?:.*\.)?(.+?)' object": "has a {0} in it",
}
"""What else is said, and what it means."""

_WORDS = {**{pattern: f"{words}; {_SIZE}" for pattern, words in _WRONG_SIZE.items()}, **_OTHER}


def said(error: BaseException) -> str:
    """What a network or a file did that ``error`` came of: a phrase whose subject is what the caller names.

    It tells the line of the user's code where that happened, if one is known.
    """
    everywhere = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in everywhere if _is_users(frame)]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    if own and own[-1] is everywhere[-1] and _raises(own[-1]):
        # In words that were meant for the user.
        return (
            f"raises {_first_line(error)}{place}" if str(error) else f"demands what is not so: {_line(own[-1])}{place}"
        )
    foreign = f" ({_first_line(error)})" if os.environ.get(DEBUG) else ""
    for pattern, words in _WORDS.items():
        found = re.search(pattern, str(error), re.DOTALL)
        if found:
            phrase, semicolon, remedy = words.format(*(group or "" for group in found.groups())).partition("; ")
            return f"{phrase}{place}{foreign}{semicolon}{remedy}"
    return f"fails{place}{foreign or '; `CNN2RTL_DEBUG=True` shows in whose words'}"


def _first_line(error: BaseException) -> str:
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def _is_users(frame: traceback.FrameSummary) -> bool:
    """Whether it is in code that belongs neither to Python, nor to a package that is installed, nor to us."""
    roots = (Path(__file__).parent, *(Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib")))
    return not frame.filename.startswith("<") and not any(Path(frame.filename).is_relative_to(root) for root in roots)


def _raises(frame: traceback.FrameSummary) -> bool:
    """Whether it is where an exception was raised by name."""
    return re.search(r"\b(raise|assert)\b", _line(frame)) is not None


def _line(frame: traceback.FrameSummary) -> str:
    return linecache.getline(frame.filename, frame.lineno or 0).strip()
