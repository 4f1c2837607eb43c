"""The checks by group, for a cell with given settings. Those of libraries come first, and stand by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from hskd_lightning.doctor import caches, disk, gpus, network, processor, scheduler, sources
from hskd_lightning.doctor.finding import Group
from hskd_lightning.settings import Settings


def groups(settings: Settings) -> Mapping[str, Group]:
    """What a cell with these settings would find, in the order in which it is said: what waits comes last."""
    artifacts = Path(settings.paths.artifacts)
    return {
        "processor": {
            "cores": processor.cores,
            "threads": partial(processor.threads, settings.threads),
            "sweeps": partial(processor.jobs, settings.threads),
            "products": processor.products,
            "units": processor.units,
        },
        "GPUs": {"driver, torch": gpus.in_torch, "visible": gpus.visible},
        "disk": {**_places(settings), "temporary": disk.temporary},
        "caches": {
            "hub": caches.hub,
            "artifacts": partial(caches.artifacts, artifacts),
            "leftovers": partial(caches.leftovers, artifacts),
        },
        "sources": {"GLUE": sources.glue, "MiniLM": sources.minilm},
        "scheduler": {
            "processes": partial(scheduler.processes, settings.trainer),
            "SLURM": partial(scheduler.slurm, settings.threads),
            "Ray": scheduler.ray,
        },
        "network": {"hub": network.hub, "W&B": partial(network.wandb, settings.logger)},
    }


def _places(settings: Settings) -> Group:
    """The root, and what was put elsewhere."""
    paths = settings.paths
    root = Path(paths.root)
    places = {"paths.root": root, "paths.artifacts": Path(paths.artifacts), "paths.runs": Path(paths.runs)}
    apart = {key: place for key, place in places.items() if place == root or not place.is_relative_to(root)}
    return {key: partial(disk.folder, place, key) for key, place in apart.items()}
