"""The arguments and options that several commands have.  Imports typer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from .arguments import some_path

OUT = Path("outputs/prompt_pins")

Out = Annotated[
    Path,
    typer.Option("--out", parser=lambda text: some_path(text) or OUT, metavar="PATH", help="The folder of all runs."),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's number below --out, or its folder.")]
Device = Annotated[Optional[str], typer.Option("--device", help="cpu or cuda; by itself: CUDA where there is one.")]
ConfigFile = Annotated[
    Optional[Path], typer.Option("--config", parser=some_path, metavar="PATH", help="A TOML file of options.")
]
Embeddings = Annotated[
    Optional[Path],
    typer.Option(
        "--embeddings", parser=some_path, metavar="PATH", help="A folder of textual inversions (.safetensors)."
    ),
]
Loras = Annotated[
    Optional[Path],
    typer.Option("--loras", parser=some_path, metavar="PATH", help="The folder of the LoRAs that the prompt names."),
]
