"""How little of a teacher's knowledge does a student need? See hsk.py for the legend, pipeline.py for a run.

Importing this tells transformers' `Auto` classes about ROSITA, so that exported students load.
"""

from hskd_lightning.models import rosita

__all__ = ["rosita"]
