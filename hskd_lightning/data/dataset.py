"""What a data set is: the classes of conf/data/."""

from __future__ import annotations

from typing import Protocol

from hskd_lightning.data.examples import Corpus, Task


class Dataset(Protocol):
    """Labelled text from somewhere."""

    @property
    def task(self) -> Task:
        """What is predicted, known without reading all of the data where that can be."""
        ...

    def load(self) -> Corpus:
        """Read every split.

        Raises:
            ConfigError: missing or malformed data, with the path and the line.
        """
        ...

    def digest(self) -> str:
        """A short name for the content: the same bytes, the same name, wherever they lie."""
        ...
