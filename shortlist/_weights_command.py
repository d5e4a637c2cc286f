"""The command that tells files of trained weights apart, and converts them: weights."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from shortlist._output import print_json, print_table

if TYPE_CHECKING:
    from submissions.learned.weight_files import WeightFile


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(weights)


def weights(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="A weight file; or the two of PyLO's VeLO.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE|DIR", help="Write the weights there; a folder for --layout pylo."),
    ] = None,
    layout: Annotated[
        Literal["flax", "pylo"],
        typer.Option(help="Of what is written: Flax's msgpack, or safetensors as PyLO's."),
    ] = "flax",
    gen_id: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Write {params, gen_id, step}, as VeLO's own file; needs --step."),
    ] = None,
    step: Annotated[int | None, typer.Option(metavar="N", min=0, help="Of --gen-id.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say whose trained weights a file holds, and convert it. Nothing is unpickled.

    Example: shortlist weights VeLO_RNN/model.safetensors VeLO_MLP/model.safetensors --out velo.msgpack
    """
    from submissions.learned import weight_files

    if (gen_id is None) != (step is None):
        raise ValueError("--gen-id and --step go together")
    if out is None and (gen_id is not None or layout != "flax"):
        raise ValueError("--layout and --gen-id are of what is written; add --out")
    if gen_id is not None and layout != "flax":
        raise ValueError("--gen-id goes with --layout flax")
    read = weight_files.read(*files)
    written: list[Path] = []
    if out is not None:
        if out.exists() and (layout == "flax" or any(out.iterdir())):
            raise FileExistsError(f"{out}: exists already; choose another")
        if layout == "pylo":
            written = weight_files.write_pylo(out, read.weights)
        else:
            around = None if gen_id is None else {"gen_id": gen_id, "step": step}
            weight_files.write(out, read.weights, around)
            written = [out]
    if json:
        print_json(_described(read) | {"written": list(map(str, written))})
        return
    for name, sizes in read.optimizers.items():
        called = ", ".join(f"{size}={value}" for size, value in sizes.items())
        typer.echo(f"weights of {name}" + (f" ({called})" if called else ""))
    rows = [(name, value) for name, value in _described(read).items() if name != "optimizers" and value != {}]
    print_table(" and ".join(map(str, files)), ("", ""), [(name, str(value)) for name, value in rows])
    for file in written:
        typer.echo(f"written: {file}")
    if len(files) == 1:
        use = shlex.join(["--optimizer", next(iter(read.optimizers)), "--weights", str(files[0])])
        typer.echo(f"next: shortlist tune WORKLOAD {use} --study DIR")


def _described(read: WeightFile) -> dict[str, Any]:
    return {
        "optimizers": {name: dict(sizes) for name, sizes in read.optimizers.items()},
        "layout": read.layout,
        "numbers": read.numbers,
        "bytes": read.size,
        "sha256": read.sha256,
        "beside": {name: _plain(value) for name, value in read.around.items()},
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
