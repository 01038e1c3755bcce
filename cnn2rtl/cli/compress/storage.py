"""``cnn2rtl compress storage``: a network in a smaller file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cnn2rtl.cli import console
from cnn2rtl.cli.model import Arch, NetworkFile, TrustPickle
from cnn2rtl.compress.files import check_module_file
from cnn2rtl.errors import Problems
from cnn2rtl.output import write_file
from cnn2rtl.reading import open_file, stem_of


def storage(
    model: NetworkFile,
    numbers: Annotated[
        Literal["float16", "int8"], typer.Option("--format", help="16-bit floats, or 8 bits from least to greatest.")
    ] = "int8",
    arch: Arch = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.pt", help="MODEL_FORMAT.pt if not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.pt if it exists.")] = False,
    trust_pickle: TrustPickle = False,
) -> None:
    """Store a float network in fewer bits. It computes in float as before: only the file is smaller, no hardware is.

    What makes hardware smaller is `generate --bits`, which computes in integers.
    """
    problems = Problems()
    file = out or Path(f"{stem_of(model)}_{numbers}.pt")
    before, after = b"", b""
    with problems.gather():
        check_module_file(file, force)
    source = open_file(model, arch, trust_pickle=trust_pickle)
    with problems.gather():
        source.check_trainable()
    # What follows imports torch, which takes seconds.
    problems.check()
    from cnn2rtl.compress.modules import module_bytes, needs_arch

    with problems.gather():
        module = source.module()
        before, after = module_bytes(module), module_bytes(module, numbers)
    problems.check()
    write_file(file, after, force)
    console.out.print(
        f"[bold]{console.plain(str(file))}[/]: {len(after):,} bytes, "
        f"{len(after) / len(before):.0%} of the {len(before):,} in float32; "
        f"it is read{' with --arch' if needs_arch(module) else ''} like any network, and computes in float",
        soft_wrap=True,
    )
