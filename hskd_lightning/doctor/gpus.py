"""GPUs: what the driver has, what CUDA_VISIBLE_DEVICES leaves of it, and what torch can do with that."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hskd_lightning.doctor.finding import Finding, note, ok, red

if TYPE_CHECKING:
    import torch

ASKED = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
PATIENCE = 20
"""Seconds for nvidia-smi: on a machine whose driver is not kept loaded it loads it."""
DEVICE = Path("/dev/nvidia0")
HIDING = ("", "-1", "NoDevFiles")
"""Values of CUDA_VISIBLE_DEVICES that leave no GPU; SLURM writes the last."""
TAKEN = 0.5
"""Share of a GPU's memory that somebody else may have before it is worth a note."""
FOR_CUDA = "install a torch for CUDA, as https://pytorch.org/get-started says"


def of_driver() -> list[str]:
    """A line for each GPU of an NVIDIA driver: name, memory, the driver's version; none where there is no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return [f"{DEVICE}, and no nvidia-smi to ask"] if DEVICE.exists() else []
    done = subprocess.run([program, *ASKED], capture_output=True, text=True, timeout=PATIENCE)
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def in_torch() -> Iterator[Finding]:
    """Whether torch can use what the driver has, and each GPU that it can."""
    import torch

    there, count = of_driver(), torch.cuda.device_count()
    listed = "; ".join(there)
    if count:
        driver = listed or "no nvidia-smi to ask"
        yield ok(f"torch {torch.__version__} is for CUDA {torch.version.cuda}; driver: {driver}")
        for number in range(count):
            yield from _gpu(torch.device("cuda", number))
    elif not there:
        yield ok("none, and no NVIDIA driver: cells run on the CPU")
    elif _hidden():
        yield note(f"hidden from torch, which finds none: {listed}", "see the next line")
    elif not torch.backends.cuda.is_built():
        yield red(f"torch {torch.__version__} is built without CUDA, and here is {listed}", FOR_CUDA)
    else:
        versions = f"torch {torch.__version__} is for CUDA {torch.version.cuda}"
        yield red(f"{versions}, and can use none of: {listed}", "update the driver, or take a torch for an older CUDA")


def visible() -> Iterator[Finding]:
    """Whether CUDA_VISIBLE_DEVICES names what is there."""
    import torch

    from hskd_lightning.runs.device import VISIBLE

    named = os.environ.get(VISIBLE)
    there = torch.cuda.device_count() if torch.backends.cuda.is_built() else len(of_driver())
    if named is None:
        yield ok(f"{VISIBLE} is not set: all there are")
    elif _hidden():
        where = "unset it; in a task of Ray: hydra.launcher.ray.remote.num_gpus=1"
        yield (
            note(f"{VISIBLE}={named!r} hides {len(gpus)} GPU(s)", where)
            if (gpus := of_driver())
            else ok("no GPU to hide")
        )
    elif len(named.split(",")) > there:
        said = f"{VISIBLE}={named} names {len(named.split(','))}, and torch finds {there}"
        yield red(said, f"name those that are there (nvidia-smi -L), or unset {VISIBLE}")
    else:
        yield ok(f"{VISIBLE}={named}")


def _hidden() -> bool:
    from hskd_lightning.runs.device import VISIBLE

    return os.environ.get(VISIBLE, "0").strip() in HIDING


def _gpu(device: torch.device) -> Iterator[Finding]:
    """One GPU: it has to multiply, and to have memory left for it."""
    import torch

    from hskd_lightning.devices import free_bytes
    from hskd_lightning.models.precision import AMPERE

    name, capability = torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device)
    said = f"{device}: {name}, capability {capability[0]}.{capability[1]}"
    try:
        (torch.ones(8, 8, device=device) @ torch.ones(8, 8, device=device)).sum().item()
    except RuntimeError as error:  # no kernel for its capability, no memory, another's alone, or broken
        remedy = f"see who has it (nvidia-smi); if nobody: {FOR_CUDA}"
        yield red(f"{said}, does not multiply: {str(error).splitlines()[0]}", remedy)
        return
    total, free = torch.cuda.get_device_properties(device).total_memory, free_bytes(device)
    said += f", {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    if free < (1 - TAKEN) * total:
        yield note(
            f"{said}: somebody else has the rest", "see who (nvidia-smi), or name another in CUDA_VISIBLE_DEVICES"
        )
    elif capability < AMPERE:
        yield note(
            f"{said}: neither TF32 nor bfloat16", "leave trainer.precision=32-true: trainer=auto, not trainer=gpu"
        )
    else:
        yield ok(said)
