"""An exported student, where nothing of ours is: transformers, onnxruntime, a reader of the card."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from safetensors.torch import load_file

from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.export import onnx_model
from hskd_lightning.export.__main__ import main
from hskd_lightning.export.student import ExportError, _Exporter, export
from hskd_lightning.integrity import write_json
from hskd_lightning.pipeline import run
from tests.helpers import ROOT, SMALL

pytestmark = pytest.mark.slow
STUDENT = (
    "student=rosita6",
    "student.shape.blocks=2",
    "student.shape.heads=1",
    "student.shape.ffn=20",
    "student.shape.embedding_rank=4",
    "data.source.dev=300",
)
FILES = {
    "README.md",
    "config.json",
    "export.json",
    "model.safetensors",
    "onnx/model.onnx",
    "onnx/model_int8.onnx",
    "tokenizer.json",
    "tokenizer_config.json",
}


def composed(root: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides=[f"paths.root={root}", *SMALL, *overrides])


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cell, run and exported, with its dev set beside it as plain text."""
    root = tmp_path_factory.mktemp("exported")
    config = composed(root, *STUDENT)
    run(config)
    (folder,) = (path.parent for path in root.glob("runs/*/result.json"))
    export(folder, seconds=0.01)
    dev = Experiment.resolve(plain(config)).dataset.load().dev["dev"]
    (folder / "dev.json").write_text(json.dumps({"texts": dev.first, "labels": dev.labels}))
    return folder


def result(cell: Path) -> dict:
    return json.loads((cell / "result.json").read_text())


def in_a_fresh_interpreter(code: str, cell: Path) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cell, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_these_files_and_no_others(cell: Path) -> None:
    folder = cell / "export"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == FILES


BY_TRANSFORMERS = """
import json
import hskd_lightning.models.rosita
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
dev = json.load(open("dev.json"))
tokenizer = AutoTokenizer.from_pretrained("export")
model = AutoModelForSequenceClassification.from_pretrained("export").eval()
given = tokenizer(dev["texts"], padding=True, truncation=True, return_tensors="pt")
with torch.inference_mode():
    said = model(**given).logits.argmax(-1)
print((said == torch.tensor(dev["labels"])).double().mean().item())
print(model.config.id2label)
"""


def test_transformers_scores_dev_as_the_result_says(cell: Path) -> None:
    score, labels = in_a_fresh_interpreter(BY_TRANSFORMERS, cell).splitlines()
    assert float(score) == result(cell)["score"]
    assert labels == "{0: 'negative', 1: 'positive'}"


BY_ONNXRUNTIME = """
import json, sys
import numpy, onnxruntime, tokenizers
dev = json.load(open("dev.json"))
tokenizer = tokenizers.Tokenizer.from_file("export/tokenizer.json")
tokenizer.enable_truncation(64)
session = onnxruntime.InferenceSession("export/onnx/model.onnx")
right = 0
for text, label in zip(dev["texts"], dev["labels"]):
    encoded = tokenizer.encode(text)
    known = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
    (logits,) = session.run(["logits"], {each.name: numpy.array([known[each.name]]) for each in session.get_inputs()})
    right += int(logits[0].argmax() == label)
assert not {"torch", "transformers", "hskd_lightning"} & set(sys.modules)
print(right / len(dev["labels"]))
"""


def test_onnxruntime_alone_scores_dev_as_the_result_says(cell: Path) -> None:
    assert float(in_a_fresh_interpreter(BY_ONNXRUNTIME, cell)) == result(cell)["score"]


def test_the_cards_code_runs_as_it_stands(cell: Path) -> None:
    first, second = re.findall(r"```python\n(.*?)```", (cell / "export/README.md").read_text(), re.DOTALL)
    said = in_a_fresh_interpreter(
        first.replace("path/to/this/folder", ".") + "print(classify('a kind nurse'))", cell / "export"
    )
    assert "negative" in said or "positive" in said
    assert in_a_fresh_interpreter(second + "print(logits.shape)", cell / "export") == "(1, 2)\n"


def test_the_card_says_scores_and_origin(cell: Path) -> None:
    card, found = (cell / "export/README.md").read_text(), result(cell)
    for said in (
        f"{found['score']:.4f}",
        f"{found['teacher_score']:.4f}",
        found["cell_id"],
        found["store"],
        found["data_digest"],
        "First weights: pruned",
        f"{found['knowledge_fraction']:.2%} of the teacher's hidden states",
        "library_name: transformers",
    ):
        assert said in card


def test_figures_of_every_form(cell: Path) -> None:
    figures = json.loads((cell / "export/export.json").read_text())
    assert figures["onnx_difference"] < 1e-4
    assert figures["machine"]["threads"] >= 1
    forms = {form["form"]: form for form in figures["forms"]}
    assert list(forms) == [
        "teacher, PyTorch",
        "teacher, ONNX",
        "student, PyTorch",
        "student, ONNX",
        "student, ONNX int8",
    ]
    for form in forms.values():
        sizes = [(each["batch"], each["tokens"]) for each in form["latency"]]
        assert sizes == [(1, 16), (1, 128), (32, 16), (32, 128)]
        assert all(0 < each["p50_ms"] <= each["p95_ms"] and each["calls"] >= 20 for each in form["latency"])
    found = result(cell)
    assert forms["student, PyTorch"]["score"] == forms["student, ONNX"]["score"] == found["score"]
    assert forms["teacher, PyTorch"]["score"] == found["teacher_score"]
    assert forms["student, PyTorch"]["parameters"] == found["parameters_student"]
    assert forms["student, PyTorch"]["bytes"] == (cell / "export/model.safetensors").stat().st_size
    assert forms["student, ONNX int8"]["bytes"] < forms["student, ONNX"]["bytes"]


def test_nothing_tells_of_the_machine_it_was_made_on(cell: Path) -> None:
    for path in (cell / "export").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(ROOT).encode() not in content and str(cell).encode() not in content, path


def test_the_weights_are_the_students(cell: Path) -> None:
    ours, theirs = (load_file(cell / place / "model.safetensors") for place in ("student", "export"))
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)


# Again, and again after a kill.


def test_an_export_that_is_there_is_kept_unless_forced(cell: Path) -> None:
    before = (cell / "export/export.json").stat().st_mtime_ns
    main([str(cell)])
    assert (cell / "export/export.json").stat().st_mtime_ns == before
    main([str(cell), "--force", "--seconds", "0.01"])
    assert (cell / "export/export.json").stat().st_mtime_ns > before


def test_killed_while_it_writes_it_is_not_there_and_comes_whole_the_next_time(cell: Path) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object) -> None:
        raise Killed

    (cell / "export").rename(cell / "kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hskd_lightning.export.student.write_int8", die)
        with pytest.raises(Killed):
            export(cell, seconds=0.01)
    assert not (cell / "export").exists() and (cell / "export.partial/onnx/model.onnx").exists()
    export(cell, seconds=0.01)
    folder = cell / "export"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == FILES
    assert not (cell / "export.partial").exists()


def test_a_file_that_computes_something_else_is_not_let_out(cell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hskd_lightning.export.student.TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="logits differ from the student's"):
        export(cell, force=True, seconds=0.01)
    assert (cell / "export").exists()  # the one before stays


# At the end of a run, and mistakes.


def test_export_at_the_end_of_a_run_and_of_a_finished_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(exporter: _Exporter) -> None:
        """What of an export is looked at again, without the half minute that the rest takes."""
        write_json(exporter.folder / "export.json", {"cell_id": exporter.result.cell_id, "files": {}})

    monkeypatch.setattr(_Exporter, "write", write)
    monkeypatch.setattr("hskd_lightning.export.student.show", lambda folder: None)
    run(composed(tmp_path, *STUDENT))
    assert not list(tmp_path.glob("runs/*/export"))
    run(composed(tmp_path, *STUDENT, "export=true"))
    assert len(list(tmp_path.glob("runs/*/export"))) == 1


def test_a_missing_package_is_named_before_any_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(ConfigError, match=r"without no_such_package(.|\n)*pip install 'hskd-lightning\[onnx\]'"):
        run(composed(tmp_path, "export=true"))
    assert not (tmp_path / "artifacts").exists()


def test_no_finished_cell_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"(?s)`export` = '.*nowhere'.*runs/<cell_id>.*run train.py first"):
        main([str(tmp_path / "nowhere")])


def test_other_data_than_the_cells_is_noticed(cell: Path) -> None:
    with pytest.raises(ConfigError, match=rf"the data and models that cell {cell.name} was made of"):
        export(cell, ["data.source.seed=1"], force=True)


@pytest.mark.parametrize("student", ["student=tiny", "student=layer_drop"])
def test_any_student_is_exported_without_the_learned_map(
    tmp_path: Path, student: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hskd_lightning.export.student._Exporter._teacher", lambda self: [])
    run(composed(tmp_path, student, "depth=all"))
    (cell,) = (path.parent for path in tmp_path.glob("runs/*/result.json"))
    folder = export(cell, seconds=0.01)
    assert "import hskd_lightning" not in (folder / "README.md").read_text()
    assert not any("widen" in name for name in load_file(folder / "model.safetensors"))
    forms = json.loads((folder / "export.json").read_text())["forms"]
    assert [form["form"] for form in forms] == ["student, PyTorch", "student, ONNX", "student, ONNX int8"]
