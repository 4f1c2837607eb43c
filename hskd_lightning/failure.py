"""A failure is printed once, by whoever started the cell."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from hskd_lightning.config import in_multirun
from hskd_lightning.errors import ConfigError, TrainingError

log = logging.getLogger(__name__)


@contextmanager
def printed_once() -> Iterator[None]:
    """Print an error of the block, and nobody else does.

    Alone, a cell ends the process: with the error's own words if it is one that a user can act on; otherwise Hydra
    prints the traceback. In a sweep the other cells go on, Hydra keeps silent, and so it is printed now.
    """
    try:
        yield
    except Exception as error:
        foreseen = isinstance(error, ConfigError | TrainingError)
        if in_multirun():
            words = str(error) if foreseen else "".join(traceback.format_exception(error))
            whose = ", ".join(getattr(error, "__notes__", ())) or "a cell"
            log.error("%s failed: %s", whose, words)
            raise
        if foreseen:
            sys.exit(f"\n{error}\n")
        raise
