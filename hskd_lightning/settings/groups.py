"""The groups of conf/ of which a run has one option each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic.dataclasses import dataclass

from hskd_lightning import ranks
from hskd_lightning.settings.stages import StageSettings
from hskd_lightning.settings.types import (
    NODE,
    Amount,
    Choice,
    Devices,
    Epochs,
    Flag,
    Folder,
    Integer,
    PathName,
    Positive,
    Precision,
    Schedule,
    Seed,
    Share,
    ShareBelowOne,
    Text,
    TextOrNull,
    Whole,
    WholeOrNull,
)

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, config=NODE, kw_only=True)
class DataSettings:
    """conf/data: what is learned, and how it is divided."""

    source: Choice
    """The data set; the keys at the end of this list are what its class is given."""
    max_length: Integer
    """Tokens after which an input is cut."""
    limit: WholeOrNull
    """Train on a random subset of so many examples; None: on all."""
    distil_limit: WholeOrNull
    """Let the student have only so many of these."""
    selection: ShareBelowOne
    """Share of train that is held out to select on."""
    split_seed: Seed
    """Of these draws."""
    hidden_epochs: Epochs
    """Of the hidden stage."""
    prediction_epochs: Epochs
    """Of the prediction stage."""
    name: Text = "data"
    task: Any = None
    root: Any = None
    hub: Any = None
    revision: Any = None
    train: Any = None
    dev: Any = None
    text: Any = None
    label: Any = None
    labels: Any = None
    regression: Any = None
    metric: Any = None


@dataclass(frozen=True, config=NODE, kw_only=True)
class TeacherSettings:
    """conf/teacher: who knows what is to be learned."""

    name: Text
    checkpoint: TextOrNull
    """A fine-tuned folder or hub id, taken as it is; None: it is fine-tuned here."""
    label_map: dict[str, Integer] | None
    """Class name -> its logit, where the checkpoint's classes have no names."""
    seed: Seed
    """Of its fine-tuning."""
    training: StageSettings
    init: Choice
    """The weights that its fine-tuning begins with."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class Rates:
    """A student's learning rates."""

    hidden: Positive
    prediction: Positive


@dataclass(frozen=True, config=NODE, kw_only=True)
class StudentSettings:
    """conf/student: who shall learn."""

    name: Text
    path: TextOrNull = None
    """A checkpoint's folder or hub id, for initialisations that take one."""
    lr: Rates
    warmup: Share
    """Share of each stage's steps over which the learning rate rises."""
    hidden_schedule: Schedule
    """Of the hidden stage."""
    shape: Choice
    init: Choice
    """Where its first weights come from."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class HskSettings:
    """How much of full hidden-state knowledge is kept."""

    amount: Amount
    """A share, spread over depth, length and width; None keeps all that has no `keep`."""
    path: PathName = "equal"
    """Which axes pay for it: see `compress.paths`."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class KnowledgeSettings:
    """conf/knowledge: what is taught, and where it comes from."""

    name: Text
    hidden: Flag
    """Whether hidden states are distilled before predictions."""
    target: Literal["logits", "labels"]
    """What the prediction stage fits."""
    source: Literal["store", "teacher"] | None
    """Who says what the teacher knows; None where nobody need."""

    @property
    def stored(self) -> bool:
        """Whether knowledge comes from a store, so that no teacher is loaded."""
        return self.source == "store"


@dataclass(frozen=True, config=NODE, kw_only=True)
class StoreSettings:
    """What a knowledge store looks like."""

    path: TextOrNull
    """A store of the user's own; None: found among the artifacts, or built there."""
    shard_tokens: Whole
    """Real tokens a file."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class TrainerSettings:
    """conf/trainer: device, precision, and how often a run is kept."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda"]
    devices: Devices
    """Of each machine: how many, -1 for all, or a list of their numbers; see `runs.device.check_devices`."""
    num_nodes: Whole = 1
    """Machines that train one cell."""
    precision: Precision
    """Of the models, the student's and the teacher's alike; losses and weights are always in float32."""
    log_every: Whole
    """Optimiser steps between the losses in metrics.csv and on a tracker's curves."""
    checkpoint_every: Whole
    """Optimiser steps between the checkpoints from which a killed run goes on."""
    graphs: Flag
    """Replay steps as CUDA graphs, on one GPU and without a teacher in the loop: see `training.graphs`."""

    @property
    def ranks_per_node(self) -> int:
        """Processes of a cell on each machine: one a device."""
        if isinstance(self.devices, list):
            return len(self.devices)
        if self.devices not in ("auto", -1):
            return int(self.devices)
        if self.accelerator == "cpu":
            return 1
        import torch  # here: as below

        return max(1, torch.cuda.device_count())

    @property
    def ranks(self) -> int:
        """Processes of a cell."""
        return self.ranks_per_node * self.num_nodes

    @property
    def device(self) -> torch.device:
        """The device on which one process works: the GPU that `devices` names, or this rank's."""
        import torch  # here: --help need not wait for it

        if self.accelerator == "cpu" or not torch.cuda.is_available():
            return torch.device("cpu")
        here = ranks.local_rank() if self.ranks > 1 else 0
        return torch.device("cuda", self.devices[here] if isinstance(self.devices, list) else here)


@dataclass(frozen=True, config=NODE, kw_only=True)
class LoggerSettings:
    """conf/logger: who is told beside metrics.csv."""

    kind: Literal["csv", "wandb", "tensorboard"]
    project: TextOrNull = None
    entity: TextOrNull = None
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"


@dataclass(frozen=True, config=NODE, kw_only=True)
class Paths:
    """conf/paths: where everything is kept that a run makes."""

    root: Folder
    artifacts: Folder
    runs: Folder
