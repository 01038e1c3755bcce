"""report.html: what it shows, that it shows it to the browser of anybody, and that results get into it."""

from __future__ import annotations

import copy
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import DIGITS, EXAMPLE, run, succeed
from torch import nn

import cnn2rtl
from cnn2rtl import schema
from cnn2rtl.output import check_target
from cnn2rtl.project import record
from cnn2rtl.render import report as rendering
from cnn2rtl.render import templates

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "<script>alert('1')</script>&\"{= name =}"
SIMULATION = {
    "engine": "verilator", "frames": 20, "data": "photos", "stall": 0, "seed": 7, "passed": True, "details": [],
    "values": 1234567, "latency": 99, "interval": 64, "streams": {}, "fifos": {},
}  # fmt: skip
ACCURACY = {
    "images": 200, "data": "photos", "layers": {},
    "outputs": [{
        "output": "fc", "task": "classification", "why": "as it looks", "decisions": {
            "unit": "images", "measure": "top-1", "count": 200, "agreement": 0.985, "float_accuracy": 0.912,
            "integer_accuracy": 0.907, "further": [], "class_names": ["cat", "dog"],
            "confusions": [{"classes": 2, "counts": [[0, 0, 98], [0, 1, 17], [1, 1, 85]]}],
        },
    }],
}  # fmt: skip
SYNTHESIS = {
    "tool": "yosys", "version": "0.57", "family": "xc7", "device": "xc7a35t", "fits": True, "wrapped": False,
    "usage": {"luts": 14321, "flip_flops": 20210, "dsps": 62.5, "rams": 12.5, "distributed_ram_bits": 0},
    "available": {"luts": 20800, "flip_flops": 41600, "dsps": 90, "rams": 50, "distributed_ram_bits": 409600},
    "cells": {}, "routed": None, "frames_per_second": None, "large_rams": [],
}  # fmt: skip
Contents = dict[str, Any]


def report(contents: Contents) -> str:
    """The page for what ``design.json`` may say."""
    return rendering.report(schema.parse(json.dumps(contents)))


@pytest.fixture(scope="module")
def design() -> cnn2rtl.Compiled:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5))
    return cnn2rtl.compile(net.eval(), (3, 8, 8), name="small")


@pytest.fixture
def small(design: cnn2rtl.Compiled) -> Contents:
    """``design.json`` of three layers."""
    return dict(copy.deepcopy(design.about))


def repeated(about: Contents, count: int) -> Contents:
    """As if the network had so many layers, one after the other."""
    layers, blocks = [], []
    for index in range(count):
        layer = copy.deepcopy(about["layers"][index % len(about["layers"])])
        layer |= {"node": f"features.{index}.block", "stream": f"features_{index}_block"}
        layer["inputs"] = [layers[-1]["node"] if layers else about["inputs"][0]["node"]]
        layer["block"] = layer["node"]
        layer["fifos"] = [{**fifo, "block": ""} for fifo in layer["fifos"]]
        layers.append(layer)
        block = about["blocks"][index % len(about["blocks"])]
        blocks.append({**block, "name": layer["node"], "layers": [layer["node"]]})
    inputs = [{**stream, "fifos": [{**fifo, "block": ""} for fifo in stream["fifos"]]} for stream in about["inputs"]]
    return {**about, "inputs": inputs, "layers": layers, "blocks": blocks, "outputs": [layers[-1]["node"]]}


def branching(about: Contents) -> Contents:
    """Blocks of three layers in a row with a way past them, and two side by side at the end."""
    about = repeated(about, 14)
    names = [layer["node"] for layer in about["layers"]]
    for end in (4, 8):
        about["layers"][end]["inputs"] = [names[end - 1], names[end - 4]]
    about["layers"][12]["inputs"] = [names[10]]
    about["layers"][13]["inputs"] = [names[11], names[12]]
    return about


def with_results(about: Contents, **results: object) -> Contents:
    return {**about, "results": results}


class Reader(HTMLParser):
    """The page's texts, classes and attributes; fails where tags do not match."""

    VOID = ("meta", "link")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def boxes(self) -> list[dict[str, str | None]]:
        return [values for tag, values in self.tags if tag == "g" and (values.get("class") or "").startswith("box")]


def words(about: Contents) -> str:
    """All that is to be read on the page, in one line."""
    return " ".join(" ".join(Reader(report(about)).texts).replace("\u00a0", " ").split())


def test_the_report_follows_from_design_json_alone(design: cnn2rtl.Compiled) -> None:
    page = design.rendered["report.html"]
    assert page == report(json.loads(design.rendered["design.json"]))
    assert page == report(json.loads(json.dumps(design.about, sort_keys=True)))


def test_logic_cells_count_where_they_are_shared(small: Contents) -> None:
    assert "Logic cells" not in report(small) and "logic_cells" not in json.dumps(small)
    small["estimate"]["logic_cells"] = 5000
    for block in small["blocks"]:
        block["resources"]["logic_cells"] = 1000
    small["device"] = {
        "name": "iCE40UP5K", "family": "ice40up", "luts": 5280, "flip_flops": 5280, "dsps": 8, "rams": 30,
        "large_rams": [], "logic_cells": 5280,
    }  # fmt: skip
    small["estimate"] |= {"luts": 4000, "flip_flops": 3000, "dsps": 1, "rams": 1}
    page = report(small)
    assert "Logic cells, estimated" in page and "Yes, by estimate" in page
    small["estimate"]["logic_cells"] = 5281
    assert "No, by estimate" in report(small)


@pytest.mark.parametrize("count", [1, 3, 5, 6, 63])
def test_every_layer_is_in_every_picture(small: Contents, count: int) -> None:
    about = repeated(small, count)
    reader = Reader(report(about))
    # Two pictures, for wide and for narrow screens, with the input and the output as boxes of their own.
    assert len(reader.boxes()) == 2 * (count + 2)
    for layer, block in zip(about["layers"], about["blocks"], strict=True):
        # In the charts of cycles, the first frame and the memories, and in the table.
        assert reader.texts.count(layer["node"]) >= 4
        assert sum(text.startswith(f"{layer['node']}: {block['summary']}") for text in reader.texts) == 2


@pytest.mark.parametrize("count", [3, 14, 63])
def test_boxes_lie_within_the_picture_and_apart(small: Contents, count: int) -> None:
    for about in (repeated(small, count), branching(small)):
        pictures = re.findall(r'<svg class="(\w+)" viewBox="0 0 (\S+) (\S+)".*?</svg>', report(about), re.DOTALL)
        for name, width, height in pictures:
            (picture,) = re.findall(rf'<svg class="{name}".*?</svg>', report(about), re.DOTALL)
            places = re.findall(r'translate\((\S+) (\S+)\).*?width="(\d+)" height="(\d+)"', picture, re.DOTALL)
            boxes = [tuple(map(float, place)) for place in places]
            assert len(boxes) == len(about["layers"]) + 2
            for x, y, w, h in boxes:
                assert min(x, y) >= 0 and x + w <= float(width) and y + h <= float(height)
                overlaps = [b for b in boxes if abs(b[0] - x) < w and abs(b[1] - y) < h]
                assert overlaps == [(x, y, w, h)]


def test_a_wire_for_every_input_of_every_layer(small: Contents) -> None:
    about = branching(small)
    reader = Reader(report(about))
    wires = [values for tag, values in reader.tags if tag == "path" and values.get("class") == "wire"]
    assert len(wires) == 2 * (sum(len(layer["inputs"]) for layer in about["layers"]) + 1)


def test_names_are_text(small: Contents) -> None:
    small["calibration"] = small["blocks"][0]["summary"] = HOSTILE
    small["layers"][1] |= {"node": HOSTILE, "kind": HOSTILE}
    small["blocks"][1]["layers"] = [HOSTILE]
    small["layers"][2]["inputs"] = [HOSTILE]
    small["notes"] = [HOSTILE]
    failed = {**SIMULATION, "passed": False, "details": [HOSTILE], "data": HOSTILE, "engine": HOSTILE}
    about = with_results(
        small, simulation=failed, accuracy={**ACCURACY, "data": HOSTILE}, synthesis={**SYNTHESIS, "device": HOSTILE}
    )
    reader = Reader(report(about))
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert reader.texts.count(HOSTILE) > 5
    assert "alert('1')" not in report(about)


def test_nothing_comes_from_elsewhere(small: Contents) -> None:
    about = with_results(small, simulation=SIMULATION, accuracy=ACCURACY, synthesis=SYNTHESIS)
    page = report(about)
    assert not re.search(r"https?:|@import|\burl\((?!#)", page)
    for tag, values in Reader(page).tags:
        assert tag not in ("img", "iframe", "object", "embed", "base") and "src" not in values
        assert tag != "link" or values == {"rel": "icon", "href": "data:,"}


def test_answers_before_anything_was_run(small: Contents) -> None:
    text = words(small)
    for command in ("synth . --device NAME", "simulate .", "evaluate . --data FOLDER", "synth . --device NAME --pnr"):
        assert f"cnn2rtl {command} " in text
    assert f"{small['interval']:,} cycles per frame" in text and "Not simulated" in text
    assert f"{small['multipliers']:,} multipliers" in text


def test_answers_of_runs(small: Contents) -> None:
    small["interval"] = SIMULATION["interval"]
    text = words(with_results(small, simulation=SIMULATION, accuracy=ACCURACY, synthesis=SYNTHESIS))
    for part in (
        "Yes, on xc7a35t", "14,321 look-up tables of 20,800 (68.9 %)", "62.5 DSP blocks of 90 (69.4 %)", "yosys 0.57",
        "64 cycles per frame, as simulated",
        "90.7 % right", "91.2 % in float", "98.5 % top-1 agreement", "200 images of photos",
        "classification, as it looks", "Rows: label; columns: hardware cat dog cat 98 17 dog 0 85",
        "Yes, to the bit", "0 wrong of 1,234,567 values in 3 layers", "20 frames of photos",
        "no stalls, seed 7, in verilator",
    ):  # fmt: skip
        assert part in text, part
    assert "cnn2rtl simulate" not in text and "cnn2rtl evaluate" not in text


def test_answers_that_are_no(small: Contents) -> None:
    failed = {**SIMULATION, "passed": False, "details": ["WRONG layer 0 frame 1"], "stall": 30}
    usage = {**SYNTHESIS["usage"], "rams": 61.5}  # type: ignore[dict-item]
    about = with_results(small, simulation=failed, synthesis={**SYNTHESIS, "usage": usage, "fits": False})
    text = words(about)
    assert "No, not on xc7a35t" in text and "61.5 block RAMs of 50 (123.0 %)" in text
    assert "WRONG layer 0 frame 1" in text and "30 % stalls" in text and "Yes" not in text
    assert report(about).count('class="bar over"') == 1


def test_speed_by_place_and_route(small: Contents) -> None:
    routed = {
        "tool": "nextpnr-ecp5",
        "version": "0.9",
        "seed": 1,
        "target_mhz": 100,
        "fmax_mhz": 83.25,
    }
    text = words(with_results(small, synthesis={**SYNTHESIS, "routed": routed}))
    assert f"{83.25e6 / small['interval']:,.1f} frames/s" in text and "at 83.25 MHz" in text and "--pnr" not in text


def test_the_clock_that_was_asked_for(small: Contents) -> None:
    small["clock_mhz"] = 62.5
    text = words(small)
    assert f"{62.5e6 / small['interval']:,.1f} frames/s" in text and "at 62.5 MHz" in text


def test_resources_of_layers_against_a_device(small: Contents) -> None:
    counts = {"luts": 20800, "flip_flops": 41600, "dsps": 90, "rams": 50}
    small["device"] = {"name": "xc7a35t", "family": "xc7", **counts, "large_rams": []}
    for block in small["blocks"]:
        block["resources"] = {"luts": 100, "flip_flops": 200, "dsps": 1.5, "rams": 2}
    small["estimate"] |= {"luts": 300, "flip_flops": 600, "dsps": 4.5, "rams": 6}
    text = words(small)
    assert "Yes, by estimate on xc7a35t" in text
    assert "Look-up tables, estimated 300 of 20,800" in text and "DSP blocks, estimated 4.5 of 90" in text
    small["device"]["rams"] = 5
    assert "No, by estimate on xc7a35t" in words(small)


def test_fifo_peaks_and_accuracy_of_layers(small: Contents) -> None:
    (fifo,) = small["layers"][0]["fifos"]
    fifo["depth"] = 4321
    fifos = {fifo["name"]: 1234}
    figures = {
        layer["node"]: {
            "sqnr": None if index else 31.25, "clipped": 0.125, "used": 0.875, "needed_bits": 7, "acc_bits": 20,
        }
        for index, layer in enumerate(small["layers"])
    }  # fmt: skip
    about = with_results(small, simulation={**SIMULATION, "fifos": fifos}, accuracy={**ACCURACY, "layers": figures})
    reader = Reader(report(about))
    assert {"4,321", "1,234", "31.25", "exact", "12.5\u00a0%", "87.5\u00a0%"} <= set(reader.texts)
    assert f"7 of {small['layers'][0]['accumulator_bits']}" in reader.texts


def test_all_fifos_of_a_fork(small: Contents) -> None:
    layer, (fifo,) = small["layers"][0], small["layers"][0]["fifos"]
    layer["fifos"] = [{**fifo, "name": "short", "depth": 3}, {**fifo, "name": "long", "block": "", "depth": 500}]
    about = with_results(small, simulation={**SIMULATION, "fifos": {"short": 2, "long": 499}})
    reader = Reader(report(about))
    assert {"503", "501"} <= set(reader.texts)
    title = "FIFO of 3 beats (2 used at most in simulation) to "
    assert title in report(about) and "of 500 beats (499 used at most in simulation) to the output" in report(about)


def test_record_renews_the_report(design: cnn2rtl.Compiled, tmp_path: Path) -> None:
    out = tmp_path / "out"
    design.write(out)
    page = out / "report.html"
    assert "Yes, to the bit" not in page.read_text(encoding="utf-8")
    record(out, simulation=msgspec.convert(SIMULATION, schema.Simulation))
    record(out, accuracy=msgspec.convert(ACCURACY, schema.Accuracy))
    assert page.read_text(encoding="utf-8") == report(json.loads((out / "design.json").read_text(encoding="utf-8")))
    assert "Yes, to the bit" in page.read_text(encoding="utf-8") and "90.7" in page.read_text(encoding="utf-8")
    # Both files still count as generated, even if the page was gone.
    page.unlink()
    record(out, synthesis=msgspec.convert(SYNTHESIS, schema.Synthesis))
    assert "xc7a35t" in page.read_text(encoding="utf-8")
    check_target(out)
    assert not list(out.glob("*.new"))


def test_record_leaves_a_report_alone_that_the_user_changed(design: cnn2rtl.Compiled, tmp_path: Path) -> None:
    out = tmp_path / "out"
    design.write(out)
    (out / "report.html").write_text("mine")
    record(out, simulation=msgspec.convert(SIMULATION, schema.Simulation))
    assert (out / "report.html").read_text() == "mine"
    with pytest.raises(cnn2rtl.UserError, match=r"report\.html"):
        check_target(out)


def test_commands_tell_the_report(tmp_path: Path) -> None:
    out, images = tmp_path / "out", EXAMPLE / "images"
    succeed("generate", *DIGITS, "-o", out, cwd=tmp_path)
    succeed("simulate", out, "--images", images, "--frames", "2", "--stall", "20", cwd=tmp_path)
    succeed("evaluate", out, "--data", images, "--limit", "20", cwd=tmp_path)
    results = json.loads((out / "design.json").read_text(encoding="utf-8"))["results"]
    assert results["simulation"]["passed"] and results["simulation"]["fifos"]["pixels"] >= 1
    assert results["accuracy"]["images"] == 20 and "classifier" in results["accuracy"]["layers"]
    page = (out / "report.html").read_text(encoding="utf-8")
    for part in ("Yes, to the bit", "2 frames of images", "20 % stalls, seed 1, in icarus", "20 images of images"):
        assert part in page, part
    rom = out / "rom" / "features_6_weights.hex"
    rom.write_text(rom.read_text().replace("0", "1"))
    assert run("simulate", out, cwd=tmp_path).code == 1
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Yes, to the bit" not in page and "WRONG layer features.6 frame 0" in page and "2 frames of noise" in page


def test_evaluate_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **results: object) -> None:
        raise cnn2rtl.UserError("out: cannot be written")

    succeed("generate", *DIGITS, "-o", "out", cwd=tmp_path)
    monkeypatch.setattr("cnn2rtl.measuring.evaluation.record", refuse)
    text = succeed("evaluate", "out", "--data", EXAMPLE / "images", "--limit", "10", cwd=tmp_path)
    assert "top-1 agreement" in text and "note not kept in the report: out: cannot be written" in text


def test_text_stands_out_from_what_is_behind_it() -> None:
    light, dark = re.findall(r":root \{(.*?)\}", templates.read("report/style.css"), re.DOTALL)[:2]
    for block in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
        for name in ("ink", "faint", "yes", "no", "accent"):
            for behind in ("page", "card"):
                assert contrast(colours[name], colours[behind]) >= 4.5, (name, behind)
        for name in (*(f"h{n}" for n in range(7)), "m0", "m1", "m2"):
            assert contrast(colours[name], colours["page"]) >= (3 if name[0] == "h" else 2), name


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


# Put into each page before anything else, and asked by the page around it.
WATCH = """<script>
window.complaints = [];
addEventListener("error", (event) => complaints.push(event.message));
for (const level of ["error", "warn"]) console[level] = (...words) => complaints.push(words.join(" "));
</script>"""
ASK = """<script>
addEventListener("load", () => {
  const seen = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, view = frame.contentWindow;
    const button = [...page.querySelectorAll("th button")].find((button) => button.textContent === "cycles");
    const column = button.closest("th").cellIndex;
    const rows = () => [...page.querySelectorAll("tbody tr")];
    const cycles = () => rows().map((row) => row.cells[column].textContent.replaceAll(",", ""));
    button.click();
    const up = cycles();
    button.click();
    return {
      frame: frame.id, width: page.documentElement.scrollWidth, complaints: view.complaints, up, down: cycles(),
      pictures: [...page.querySelectorAll("svg")].map((svg) => svg.getBoundingClientRect().width),
      background: view.getComputedStyle(page.body).backgroundColor,
    };
  });
  document.querySelector("pre").textContent = JSON.stringify(seen);
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to open the page in")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(small: Contents, scheme: str, tmp_path: Path) -> None:
    small["layers"][0]["node"] = "a_rather_long_name." * 8
    small["layers"][1]["inputs"] = small["blocks"][0]["layers"] = [small["layers"][0]["node"]]
    small["name"] = "name_without_a_place_to_break_it_" * 4
    everything = with_results(repeated(small, 63), simulation=SIMULATION, accuracy=ACCURACY, synthesis=SYNTHESIS)
    frames = []
    for name, about in {"small": small, "everything": everything, "branching": branching(small)}.items():
        page = html.escape(report(about).replace("<head>", f"<head>{WATCH}"))
        frames += [
            f'<iframe id="{name} {width}" style="width:{width}px" srcdoc="{page}"></iframe>' for width in (400, 1280)
        ]
    probe = tmp_path / "probe.html"
    probe.write_text(f"<!DOCTYPE html><meta charset=utf-8>{''.join(frames)}<pre></pre>{ASK}", encoding="utf-8")
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
            f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", probe.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r"<pre>(.+?)</pre>", done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    seen = json.loads(html.unescape(found[1]))
    assert len(seen) == 6
    for page in seen:
        width = int(page["frame"].split()[1])
        assert page["complaints"] == [] and page["width"] == width, page
        # One of the two pictures is to be seen, and not beyond the edge.
        (shown,) = (w for w in page["pictures"] if w)
        assert shown <= width and page["pictures"].index(shown) == (width == 400)
        red = int(re.findall(r"\d+", page["background"])[0])
        assert red > 200 if scheme == "light" else red < 50
        # What has no cycles, the input, comes last in either order.
        cycles = [int(text) for text in page["up"][:-1]]
        assert cycles == sorted(cycles) and cycles[::-1] == [int(text) for text in page["down"][:-1]]
        assert page["up"][-1] == page["down"][-1] == ""
