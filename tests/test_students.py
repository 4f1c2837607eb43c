"""The students through the whole program: pruned, from a checkpoint, of any architecture."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, BertConfig

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.data.vocabulary import train_wordpiece
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.models import encoder
from hskd_lightning.models.init.hub import learned_map
from hskd_lightning.models.prune import Weighing, importance
from hskd_lightning.models.rosita import RositaForSequenceClassification
from hskd_lightning.pipeline import run
from tests.helpers import SMALL, result_of
from tests.models.tiny_models import CONFIGS

pytestmark = pytest.mark.slow
Configure = Callable[..., DictConfig]
ROSITA = (
    "student=rosita6",
    "student.shape.blocks=2",
    "student.shape.heads=1",
    "student.shape.ffn=20",
    "student.shape.embedding_rank=4",
)
TINYBERT = (
    "student=tinybert4",
    "student.shape.num_hidden_layers=3",
    "student.shape.hidden_size=12",
    "student.shape.num_attention_heads=3",
    "student.shape.intermediate_size=20",
)
NO_TINY = [override for override in SMALL if not override.startswith("teacher.init")]


def only(root: Path, pattern: str) -> Path:
    (path,) = root.glob(pattern)
    return path


def weights_of(config: DictConfig) -> dict[str, torch.Tensor]:
    folder = Assets(Experiment.resolve(plain(config))).student.folder
    return encoder.load_classifier(str(folder)).state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


# ROSITA.


@pytest.mark.parametrize("knowledge", ["offline", "online", "logits"])
def test_a_pruned_student_is_distilled_and_says_how_it_began(small: Configure, tmp_path: Path, knowledge: str) -> None:
    run(small(*ROSITA, f"knowledge={knowledge}"))
    found = result_of(tmp_path)
    assert (found["student"], found["student_init"], found["student_init_importance"]) == (
        "rosita6",
        "pruned",
        "taylor",
    )
    student = AutoModelForSequenceClassification.from_pretrained(only(tmp_path, "runs/*/student"))
    assert isinstance(student, RositaForSequenceClassification)
    assert encoder.count_parameters(student) == found["parameters_student"]


def test_seeds_and_sizes_share_one_importance_and_seeds_one_student(small: Configure, tmp_path: Path) -> None:
    place = f"paths.artifacts={tmp_path}/own"
    first = weights_of(small(*ROSITA, place))
    assert equal(first, weights_of(small(*ROSITA, place, "seed=1")))
    weights_of(small(*ROSITA, place, "student.shape.heads=2"))
    assert len(list(tmp_path.glob("own/importance/*/manifest.json"))) == 1
    assert len(list(tmp_path.glob("own/student/*/manifest.json"))) == 2


def test_importance_is_weighed_on_the_batches_of_training(small: Configure, tmp_path: Path) -> None:
    config = small(*ROSITA, f"paths.artifacts={tmp_path}/own", "seed=3")
    weights_of(config)
    assets = Assets(Experiment.resolve(plain(config)))
    folder = only(tmp_path, "own/importance/*/manifest.json").parent
    teacher = encoder.load_classifier(assets.teacher.path)
    drawn = assets.corpus.train_batches(
        assets.corpus.student_splits.train, 32, seed=0
    )  # data.split_seed; the paper's size
    expected = importance(teacher, Weighing("taylor"), lambda: drawn, seed=0)
    found = load_file(folder / "scores.safetensors")
    assert torch.equal(found["heads"], torch.stack([block.heads for block in expected]))
    assert torch.equal(found["neurons"], torch.stack([block.neurons for block in expected]))


def test_an_importance_says_by_which_rule_it_was_made(small: Configure, tmp_path: Path) -> None:
    weights_of(small(*ROSITA, f"paths.artifacts={tmp_path}/own"))
    recipe = json.loads(only(tmp_path, "own/importance/*/manifest.json").read_text())["recipe"]
    assert (recipe["rule"], recipe["batch_size"]) == ("|W * sum over batches |dL/dW||", 32)


def test_importance_at_random_is_the_seeds(small: Configure) -> None:
    how = (*ROSITA, "student.init.importance=random")
    assert not equal(weights_of(small(*how)), weights_of(small(*how, "seed=1")))


def test_the_paper_weighs_with_dropout(small: Configure) -> None:
    teacher = ("teacher.init.shape.hidden_dropout_prob=0.5", "knowledge=online")
    weighed = [
        Experiment.resolve(plain(small(*ROSITA, *teacher, preset))).student_init.weighing.dropout
        for preset in ("preset=default", "preset=paper")
    ]
    assert weighed == [False, True]
    ours, theirs = (weights_of(small(*ROSITA, *teacher, f"preset.importance_dropout={on}")) for on in (False, True))
    assert not equal(ours, theirs)


def test_each_initialisation_of_one_shape_is_a_cell_of_its_own(small: Configure) -> None:
    ways = (
        "student/init=pruned",
        "student/init=random",
        "student.init.importance=magnitude",
        "student.init.blocks=uniform",
    )
    ids = {Experiment.resolve(plain(small(*ROSITA, way))).cell_id for way in ways}
    assert len(ids) == len(ways)


def test_an_initialisation_written_as_a_value_is_told_to_be_a_group(small: Configure) -> None:
    with pytest.raises(ConfigError, match=r"`student.init` = 'random'(.|\n)*choose an option: student/init=random"):
        run(small(*ROSITA, "student.init=random"))


def test_pruning_leaves_out_the_head_order_of_the_checkpoint(small: Configure, tmp_path: Path) -> None:
    """A checkpoint with its classes the other way round gives the same student."""
    run(small(*ROSITA))
    teacher = only(tmp_path.parent, f"{tmp_path.name}/runs/*/student")  # any classifier with the tokenizer
    model = encoder.build_classifier(BertConfig(**TINY_BERT, vocab_size=_vocabulary(teacher)))
    made = []
    for name, order in (("task", [0, 1]), ("other", [1, 0])):
        encoder.reorder_classes(model, order)
        names = ["negative", "positive"]
        model.config.update({"id2label": dict(enumerate(names[number] for number in order))})
        model.config.update({"label2id": {label: number for number, label in model.config.id2label.items()}})
        folder = tmp_path / name
        model.save_pretrained(folder)
        Assets(Experiment.resolve(plain(small()))).corpus.tokenizer.save_pretrained(folder)
        made.append(weights_of(small(*ROSITA, f"teacher.checkpoint={folder}")))
    assert equal(*made)


TINY_BERT = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}


def _vocabulary(folder: Path) -> int:
    return json.loads((folder / "config.json").read_text())["vocab_size"]


# TinyBERT4.


@pytest.fixture
def general(small: Configure, tmp_path: Path) -> Path:
    """A checkpoint as TinyBERT's lies on the hub: sizes without an architecture, a vocabulary without a tokenizer."""
    experiment = Experiment.resolve(plain(small(*TINYBERT)))
    folder = tmp_path / "general"
    folder.mkdir()
    model = encoder.build_classifier(experiment.student_config)
    torch.save(model.base_model.state_dict(), folder / "pytorch_model.bin")
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
    (folder / "config.json").write_text(json.dumps({size: getattr(model.config, size) for size in sizes}))
    vocabulary = Assets(experiment).teacher.corpus.tokenizer.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n")
    return folder


def test_a_narrow_student_starts_from_its_checkpoint(small: Configure, tmp_path: Path, general: Path) -> None:
    overrides = (*TINYBERT, f"student.path={general}")
    state = torch.load(general / "pytorch_model.bin", weights_only=True)
    began = weights_of(small(*overrides))
    assert all(torch.equal(began[f"bert.{name}"], value) for name, value in state.items())
    run(small(*overrides))
    assert result_of(tmp_path)["student_init"] == "hub"


def test_the_learned_map_is_trained_and_stays_behind(small: Configure, tmp_path: Path, general: Path) -> None:
    run(small(*TINYBERT, f"student.path={general}", "depth=all"))
    cell = only(tmp_path, "runs/*/result.json").parent
    state = torch.load(cell / "checkpoints/hidden/last.ckpt", weights_only=True)["state_dict"]
    maps = {name: value.shape for name, value in state.items() if not name.startswith("model.")}
    assert maps == {"widen.weight": (16, 12), "widen.bias": (16,)}  # one, shared by all layers
    student = AutoModelForSequenceClassification.from_pretrained(cell / "student")
    assert not any("widen" in name for name in student.state_dict())
    assert result_of(tmp_path)["parameters_student"] == encoder.count_parameters(student)


@pytest.fixture
def with_map(general: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """The checkpoint with the map that it was distilled with, to the teacher's width."""
    state = torch.load(general / "pytorch_model.bin", weights_only=True)
    own = {"weight": torch.randn(16, 12), "bias": torch.randn(16)}
    torch.save({**state, **{f"fit_dense.{name}": value for name, value in own.items()}}, general / "pytorch_model.bin")
    return general, own


STILL = "stage.hidden.lr=1e-12"
"""The hidden stage moves nothing: its last weights are those it began with."""


def map_after_hidden(root: Path) -> dict[str, torch.Tensor]:
    state = torch.load(only(root, "runs/*/checkpoints/hidden/last.ckpt"), weights_only=True)["state_dict"]
    return {name.removeprefix("widen."): value for name, value in state.items() if name.startswith("widen.")}


def test_the_learned_map_starts_from_the_checkpoints_own(
    small: Configure, tmp_path: Path, with_map: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    path, own = with_map
    with caplog.at_level(logging.INFO, logger="hskd_lightning"):
        run(small(*TINYBERT, f"student.path={path}", "preset.map_init=checkpoint", STILL))
    torch.testing.assert_close(map_after_hidden(tmp_path), own)
    assert "the learned map starts from the checkpoint's own" in caplog.text
    student = AutoModelForSequenceClassification.from_pretrained(only(tmp_path, "runs/*/student"))
    assert not any("widen" in name or "fit_dense" in name for name in student.state_dict())


@pytest.mark.parametrize("start", ["torch", "normal"])
def test_the_checkpoints_map_is_left_alone_unless_asked_for(
    small: Configure, tmp_path: Path, with_map: tuple, start: str
) -> None:
    path, own = with_map
    run(small(*TINYBERT, f"student.path={path}", f"preset.map_init={start}", STILL))
    assert not torch.allclose(map_after_hidden(tmp_path)["weight"], own["weight"], atol=0.1)


@pytest.mark.parametrize("checkpoint", ["has none", "has one of another width", "is out of reach"])
def test_without_a_map_of_its_own_it_is_drawn_as_the_released_code_does_and_says_so(
    small: Configure, tmp_path: Path, with_map: tuple, caplog: pytest.LogCaptureFixture, checkpoint: str
) -> None:
    path, _ = with_map
    state = torch.load(path / "pytorch_model.bin", weights_only=True)
    weight = state.pop("fit_dense.weight")
    if checkpoint == "has one of another width":
        state["fit_dense.weight"] = weight[:15]
    torch.save(state, path / "pytorch_model.bin")
    where = "no/such" if checkpoint == "is out of reach" else path
    with caplog.at_level(logging.INFO, logger="hskd_lightning"):
        run(small(*TINYBERT, f"student.path={where}", "preset.map_init=checkpoint", STILL))
    found = map_after_hidden(tmp_path)
    assert found["weight"].std() == pytest.approx(0.02, rel=0.2)  # of 16 x 12
    torch.testing.assert_close(found["bias"], torch.zeros(16))
    assert "the learned map starts from N(0, 0.02)" in caplog.text


def test_the_map_is_read_off_the_checkpoint_once(small: Configure, tmp_path: Path, with_map: tuple) -> None:
    path, own = with_map
    for seed in (0, 1):
        place = (f"student.path={path}", f"paths.artifacts={tmp_path}/own", f"seed={seed}")
        assets = Assets(Experiment.resolve(plain(small(*TINYBERT, *place))))
        torch.testing.assert_close(assets.student.learned_map, own)
    assert len(list(tmp_path.glob("own/map/*/manifest.json"))) == 1


def test_a_checkpoint_whose_weights_cannot_be_read_has_no_map_to_look_for(general: Path) -> None:
    (general / "pytorch_model.bin").rename(general / "weights.msgpack")
    with pytest.raises(ConfigError, match=r"`preset.map_init` = 'checkpoint'(.|\n)*preset.map_init=normal"):
        learned_map(str(general), (16, 12))


def test_out_of_reach_it_is_random_and_says_so(
    small: Configure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="hskd_lightning"):
        run(small(*TINYBERT, "student.path=no/checkpoint"))
    assert "its checkpoint is out of reach, so its weights are random" in caplog.text
    assert result_of(tmp_path)["student_init"] == "random"
    assert "initialised      random" in only(tmp_path, "runs/*/log.txt").read_text()


def test_random_for_want_of_a_checkpoint_is_another_cell_than_from_one(small: Configure, general: Path) -> None:
    def cell(*overrides: str) -> str:
        return Experiment.resolve(plain(small(*TINYBERT, *overrides))).cell_id

    assert cell(f"student.path={general}") != cell("student.path=no/such")


def test_a_checkpoint_of_another_size_is_refused(small: Configure, general: Path) -> None:
    with pytest.raises(ConfigError, match=r"`student.path`(.|\n)*hidden_size = 12(.|\n)*hidden_size = 15"):
        run(small(*TINYBERT, f"student.path={general}", "student.shape.hidden_size=15"))


# Any encoder.


@pytest.mark.parametrize("kind", encoder.SUPPORTED)
def test_any_encoder_learns_from_a_wider_and_deeper_one_of_its_kind(
    configure: Configure, tmp_path: Path, kind: str
) -> None:
    texts = Experiment.resolve(plain(configure(*SMALL))).dataset.load().train.first
    tokenizer = train_wordpiece(texts, 90)
    narrow = {"hidden_size": 24, "dim": 24, "pooler_hidden_size": 24, "num_hidden_layers": 2, "n_layers": 2}
    for name, sizes in (("teacher", {}), ("student", narrow)):
        config = CONFIGS[kind]()
        config.update({key: value for key, value in sizes.items() if key in config.to_dict()})
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[: config.num_hidden_layers]
        encoder.build_classifier(config).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    teacher = ("teacher=hub", f"teacher.init.path={tmp_path}/teacher")
    student = ("student=hub", f"student.path={tmp_path}/student")
    run(configure(*NO_TINY, *teacher, *student, "data.max_length=34", "depth=all", "length.keep=3"))
    found = result_of(tmp_path)
    assert found["layer_map"] == "0<-0, 1<-2, 2<-3"  # 3 into 2 blocks: 1.5, half to even
    assert found["student_init"] == "hub"
    model = AutoModelForSequenceClassification.from_pretrained(only(tmp_path, "runs/*/student"))
    assert (model.config.model_type, model.config.hidden_size) == (kind, 24)
