"""A finished cell's student in forms that the rest of the world runs.

Writes runs/<cell_id>/export/: a Hugging Face folder with a model card, ONNX
and int8 ONNX, and export.json with what each form weighs, takes and scores,
teacher against student. `key=value` replaces a key of the cell's
configuration, such as paths.artifacts, where the cell has moved.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hskd_lightning import console, usage
from hskd_lightning.errors import ConfigError
from hskd_lightning.interrupt import interruptible


@interruptible()
def main(arguments: Sequence[str] | None = None) -> None:
    """Export the cells that are named; a user's mistake ends in its message and exit code 1."""
    parser = usage.parser("export", __doc__)
    parser.add_argument("cells", nargs="+", metavar="runs/<cell_id> | key=value")
    parser.add_argument("--force", action="store_true", help="make an export again that is there")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long to measure each latency")
    given = parser.parse_args(arguments)
    from hskd_lightning.export.student import ExportError, export  # here: --help need not wait for torch

    console.log_plainly()
    console.quiet()
    overrides = [word for word in given.cells if "=" in word]
    try:
        for cell in given.cells:
            if cell not in overrides:
                export(Path(cell), overrides, given.force, given.seconds)
    except (ConfigError, ExportError) as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
