"""Hugging Face encoders: how they are run, where their first weights come from, what they attend to.

Importing this tells transformers' `Auto` classes about ROSITA.
"""

from hskd_lightning.models import rosita

__all__ = ["rosita"]
