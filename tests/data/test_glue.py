"""GLUE: small files in the distributed formats, a stand-in for the hub, and the real files at GLUE_ROOT."""

from __future__ import annotations

import logging
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hskd_lightning.data.examples import Corpus
from hskd_lightning.data.glue import Glue
from hskd_lightning.errors import ConfigError

RTE_HEADER = "index\tsentence1\tsentence2\tlabel"
QQP_HEADER = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
MNLI_TEXT = "index\tpromptID\tpairID\tgenre\tb1\tb2\tp1\tp2\tsentence1\tsentence2"
STSB_HEADER = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore"


def write(folder: Path, **files: str) -> None:
    """Write train="..." to folder/train.tsv, byte for byte."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.tsv").write_bytes(text.encode())


def rte(root: Path, train: str) -> Glue:
    """An RTE folder with these lines to train on below the header, and one sound dev example."""
    write(root / "RTE", train=f"{RTE_HEADER}\n{train}", dev=f"{RTE_HEADER}\n0\tp\tq\tentailment\n")
    return Glue("rte", str(root))


# The formats of the distributed files.


def test_cola_has_no_header(tmp_path: Path) -> None:
    write(
        tmp_path / "CoLA",
        train="gj04\t1\t\tHe ran.\ngj04\t0\t*\tRan he the.\n",
        dev="gj04\t1\t\tShe ran.\ngj04\t0\t*\tRan she.",
    )
    corpus = Glue("cola", str(tmp_path)).load()
    assert corpus.train.first == ["He ran.", "Ran he the."]
    assert corpus.train.second is None
    assert corpus.train.labels == [1, 0]
    assert corpus.dev["dev"].first == ["She ran.", "Ran she."]


def test_sst2_reads_sentence_then_label_and_keeps_spaces(tmp_path: Path) -> None:
    write(tmp_path / "SST-2", train="sentence\tlabel\nbad \t0\n", dev="sentence\tlabel\ngood \t1\n")
    corpus = Glue("sst2", str(tmp_path)).load()
    assert (corpus.train.first, corpus.train.labels) == (["bad "], [0])
    assert (corpus.dev["dev"].first, corpus.dev["dev"].labels) == (["good "], [1])


def test_rte_label_names_become_hub_ids(tmp_path: Path) -> None:
    corpus = rte(tmp_path, "0\ta\tb\tnot_entailment\n1\tc\td\tentailment\n").load()
    assert corpus.train.first == ["a", "c"]
    assert corpus.train.second == ["b", "d"]
    assert corpus.train.labels == [1, 0]


def test_mrpc_header_with_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t70\t71\tOne.\tTwo.\n"
    write(tmp_path / "MRPC", train=text, dev=text)
    train = Glue("mrpc", str(tmp_path)).load().train
    assert (train.first, train.second, train.labels) == (["One."], ["Two."], [1])


def test_stsb_scores_are_floats(tmp_path: Path) -> None:
    text = f"{STSB_HEADER}\n0\tg\tf\t2012\t1\tnone\tnone\tA.\tB.\t3.25\n1\tg\tf\t2012\t1\tnone\tnone\tC.\tD.\t0\n"
    write(tmp_path / "STS-B", train=text, dev=text)
    corpus = Glue("stsb", str(tmp_path)).load()
    assert corpus.task.labels is None
    assert corpus.train.labels == [3.25, 0.0]


def test_qnli_pairs_question_with_sentence(tmp_path: Path) -> None:
    text = "index\tquestion\tsentence\tlabel\n0\tWho?\tHe.\tentailment\n1\tWhy?\tHe.\tnot_entailment\n"
    write(tmp_path / "QNLI", train=text, dev=text)
    train = Glue("qnli", str(tmp_path)).load().train
    assert (train.first, train.second, train.labels) == (["Who?", "Why?"], ["He.", "He."], [0, 1])


def mnli(root: Path) -> Corpus:
    """Dev files have more annotators' columns than train, and label1 differs from gold_label throughout."""
    parse = "0\ti\ti\tfiction\tb\tb\tp\tp"
    dev_header = f"{MNLI_TEXT}\tlabel1\tlabel2\tgold_label"
    write(
        root / "MNLI",
        train=f"{MNLI_TEXT}\tlabel1\tgold_label\n{parse}\tP.\tH.\tneutral\tcontradiction\n",
        dev_matched=f"{dev_header}\n{parse}\tP1.\tH1.\tneutral\tneutral\tentailment\n",
        dev_mismatched=f"{dev_header}\n{parse}\tP2.\tH2.\tentailment\tentailment\tneutral\n",
    )
    return Glue("mnli", str(root)).load()


def test_mnli_has_two_dev_splits(tmp_path: Path) -> None:
    corpus = mnli(tmp_path)
    assert corpus.train.first == ["P."]
    assert {name: split.first for name, split in corpus.dev.items()} == {"dev": ["P1."], "dev_mm": ["P2."]}


def test_mnli_reads_gold_label(tmp_path: Path) -> None:
    corpus = mnli(tmp_path)
    assert corpus.train.labels == [2]
    assert (corpus.dev["dev"].labels, corpus.dev["dev_mm"].labels) == ([0], [1])


def test_qqp_skips_broken_rows_but_counts_them_in_ids(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = "1\t3\t4\tcut in\ntwo\t5\t1\n"
    train = f"{QQP_HEADER}\n0\t1\t2\tA?\tB?\t0\n{broken}2\t5\t6\tC?\tD?\t1\n"
    write(tmp_path / "QQP", train=train, dev=f"{QQP_HEADER}\n0\t1\t2\tA?\t\t0\n")
    with caplog.at_level(logging.WARNING):
        corpus = Glue("qqp", str(tmp_path)).load()
    assert (corpus.train.ids, corpus.train.labels) == ([0, 3], [0, 1])
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'QQP' / 'train.tsv'}: skipped 2 rows that do not have 6 columns"
    ]


def test_qqp_keeps_an_empty_question(tmp_path: Path) -> None:
    text = f"{QQP_HEADER}\n0\t1\t2\tA?\t\t0\n"
    write(tmp_path / "QQP", train=text, dev=text)
    assert Glue("qqp", str(tmp_path)).load().train.second == [""]


# Edges of the reading itself.


def test_quotation_marks_are_text(tmp_path: Path) -> None:
    train = rte(tmp_path, '0\t"He said\tb\tentailment\n1\tc"\td\tentailment\n').load().train
    assert train.first == ['"He said', 'c"']


def test_crlf_line_ends_are_stripped(tmp_path: Path) -> None:
    train = rte(tmp_path, "0\ta\tb\tentailment\r\n1\tc\td\tnot_entailment\r\n").load().train
    assert train.labels == [0, 1]


def test_unicode_line_separators_do_not_end_a_row(tmp_path: Path) -> None:
    sentence = "one\u2028two\x85three\x0cfour"
    assert rte(tmp_path, f"0\t{sentence}\tb\tentailment\n").load().train.first == [sentence]


def test_last_line_without_newline_is_read(tmp_path: Path) -> None:
    assert rte(tmp_path, "0\ta\tb\tentailment\n1\tc\td\tentailment").load().train.first == ["a", "c"]


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    assert rte(tmp_path, "0\ta\tb\tentailment\n\n1\tc\td\tentailment\n\n").load().train.ids == [0, 1]


def test_ids_are_rows_whatever_the_index_column_says(tmp_path: Path) -> None:
    assert rte(tmp_path, "7\ta\tb\tentailment\n7\tc\td\tentailment\n").load().train.ids == [0, 1]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    text = "label\tsentence\n1\tgood\n"
    write(tmp_path / "SST-2", train=text, dev=text)
    assert Glue("sst2", str(tmp_path)).load().train.first == ["good"]


# What a local folder is refused for.


def refusal(glue: Glue) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        glue.load()
    return caught.value


def test_unknown_task_lists_the_tasks() -> None:
    with pytest.raises(ConfigError, match="cola, sst2, mrpc, stsb, qqp, qnli, mnli, rte") as caught:
        Glue("wnli")
    assert (caught.value.key, caught.value.value) == ("data.task", "wnli")


def test_missing_folder(tmp_path: Path) -> None:
    error = refusal(Glue("rte", str(tmp_path / "nowhere")))
    assert (error.key, error.value) == ("data.root", f"{tmp_path}/nowhere: no such folder")
    assert "RTE/train.tsv" in error.allowed


def test_a_file_as_root(tmp_path: Path) -> None:
    (tmp_path / "glue.zip").write_bytes(b"PK")
    assert refusal(Glue("rte", str(tmp_path / "glue.zip"))).value == f"{tmp_path}/glue.zip: a file"


@pytest.mark.parametrize("root", ["", 3, ["a"]])
def test_a_root_that_is_no_path(root: object) -> None:
    with pytest.raises(ConfigError, match="`data.root`.*(?s:.*)data.root=null for the hub"):
        Glue("rte", root)  # type: ignore[arg-type]


def test_a_task_that_is_a_list() -> None:
    with pytest.raises(ConfigError, match="`data.task`"):
        Glue(["rte"])  # type: ignore[arg-type]


def test_a_folder_of_a_user_that_there_is_not() -> None:
    assert refusal(Glue("rte", "~no-such-user/glue")).value == "~no-such-user/glue: no such folder"


def test_nul_byte_is_placed_at_its_line(tmp_path: Path) -> None:
    assert refusal(rte(tmp_path, "0\ta\0\tb\tentailment\n")).value == f"{tmp_path}/RTE/train.tsv:2: a NUL byte"


def test_scores_of_dev_that_are_all_alike_have_no_correlation(tmp_path: Path) -> None:
    rows = "".join(f"{row}\tg\tf\t2012\t1\tnone\tnone\tA.\tB.\t{{}}\n" for row in range(2))
    write(tmp_path / "STS-B", train=f"{STSB_HEADER}\n{rows.format(1, 2)}", dev=f"{STSB_HEADER}\n{rows.format(3, 3)}")
    error = refusal(Glue("stsb", str(tmp_path)))
    assert error.value == f"{tmp_path}/STS-B/dev.tsv: every score is 3.0"


def test_labels_of_dev_that_are_all_alike_have_no_mcc(tmp_path: Path) -> None:
    write(tmp_path / "CoLA", train="gj04\t1\t\tHe ran.\n", dev="gj04\t1\t\tShe ran.\n")
    assert refusal(Glue("cola", str(tmp_path))).value == f"{tmp_path}/CoLA/dev.tsv: every label is 'acceptable'"


def test_missing_file_is_named(tmp_path: Path) -> None:
    glue = rte(tmp_path, "0\ta\tb\tentailment\n")
    (tmp_path / "RTE" / "dev.tsv").unlink()
    error = refusal(glue)
    assert (error.key, error.value) == ("data.root", f"{tmp_path}/RTE/dev.tsv: no such file")


def test_empty_file(tmp_path: Path) -> None:
    write(tmp_path / "RTE", train="", dev=f"{RTE_HEADER}\n0\ta\tb\tentailment\n")
    assert refusal(Glue("rte", str(tmp_path))).value == f"{tmp_path}/RTE/train.tsv: the file is empty"


def test_empty_file_of_a_format_without_header(tmp_path: Path) -> None:
    write(tmp_path / "CoLA", train="", dev="gj04\t1\t\tShe ran.\n")
    assert refusal(Glue("cola", str(tmp_path))).value == f"{tmp_path}/CoLA/train.tsv: no rows of data"


def test_header_without_rows(tmp_path: Path) -> None:
    assert refusal(rte(tmp_path, "")).value == f"{tmp_path}/RTE/train.tsv: no rows of data"


def test_missing_header_column_lists_those_found(tmp_path: Path) -> None:
    write(tmp_path / "SST-2", train="text\tlabel\na\t0\n", dev="sentence\tlabel\na\t0\n")
    found = f"{tmp_path}/SST-2/train.tsv: no columns named 'sentence' among: text, label"
    assert refusal(Glue("sst2", str(tmp_path))).value == found


def test_malformed_row_is_placed_at_its_line(tmp_path: Path) -> None:
    error = refusal(rte(tmp_path, "0\ta\tb\tentailment\n1\tc\tentailment\n"))
    assert error.value == f"{tmp_path}/RTE/train.tsv:3: 3 columns"
    assert error.allowed == "4 columns: index, sentence1, sentence2, label"


def test_lines_are_counted_across_empty_ones(tmp_path: Path) -> None:
    error = refusal(rte(tmp_path, "0\ta\tb\tentailment\n\n1\tc\n"))
    assert error.value == f"{tmp_path}/RTE/train.tsv:4: 2 columns"


def test_unknown_label_name(tmp_path: Path) -> None:
    error = refusal(rte(tmp_path, "0\ta\tb\tmaybe\n"))
    assert error.value == f"{tmp_path}/RTE/train.tsv:2: the label 'maybe'"
    assert error.allowed == "entailment, not_entailment"


def test_unknown_label_number_explains_the_numbers(tmp_path: Path) -> None:
    write(tmp_path / "CoLA", train="gj04\t2\t\tHe ran.\n", dev="gj04\t1\t\tShe ran.\n")
    error = refusal(Glue("cola", str(tmp_path)))
    assert error.value == f"{tmp_path}/CoLA/train.tsv:1: the label '2'"
    assert error.allowed == "0 (unacceptable), 1 (acceptable)"


@pytest.mark.parametrize(
    ("score", "found"),
    [
        ("high", "the score 'high'"),
        ("nan", "the score 'nan'"),
        ("5.5", "the score 5.5"),
        ("-1", "the score -1"),
    ],
)
def test_score_off_the_scale(tmp_path: Path, score: str, found: str) -> None:
    text = f"{STSB_HEADER}\n0\tg\tf\t2012\t1\tnone\tnone\tA.\tB.\t{score}\n"
    write(tmp_path / "STS-B", train=text, dev=text)
    assert str(refusal(Glue("stsb", str(tmp_path))).value).endswith(f"STS-B/train.tsv:2: {found}")


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    glue = rte(tmp_path, "0\ta\tb\tentailment\n")
    with (tmp_path / "RTE" / "train.tsv").open("ab") as stream:
        stream.write(b"1\tcaf\xe9\td\tentailment\n")
    assert str(refusal(glue).value).startswith(f"{tmp_path}/RTE/train.tsv:3: not UTF-8")


# The task, and the digest.


@pytest.mark.parametrize(
    ("name", "metric", "labels"),
    [
        ("cola", "mcc", ("unacceptable", "acceptable")),
        ("sst2", "accuracy", ("negative", "positive")),
        ("mrpc", "accuracy_f1", ("not_equivalent", "equivalent")),
        ("stsb", "pearson_spearman", None),
        ("qqp", "accuracy_f1", ("not_duplicate", "duplicate")),
        ("qnli", "accuracy", ("entailment", "not_entailment")),
        ("mnli", "accuracy", ("entailment", "neutral", "contradiction")),
        ("rte", "accuracy", ("entailment", "not_entailment")),
    ],
)
def test_task_is_known_without_loading(name: str, metric: str, labels: tuple[str, ...] | None) -> None:
    task = Glue(name, root="/nowhere").task
    assert (task.name, task.metric, task.labels) == (name, metric, labels)


def test_digest_follows_a_changed_byte(tmp_path: Path) -> None:
    before = rte(tmp_path, "0\ta\tb\tentailment\n").digest()
    assert len(before) == 16 and int(before, 16) >= 0
    assert rte(tmp_path, "0\tA\tb\tentailment\n").digest() != before


def test_digest_does_not_follow_the_folder(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        digests.add(rte(tmp_path / name, "0\ta\tb\tentailment\n").digest())
    assert len(digests) == 1


def test_digest_sees_a_row_moved_from_dev_to_train(tmp_path: Path) -> None:
    rows = ["gj04\t1\t\tA.\n", "gj04\t0\t\tB.\n", "gj04\t1\t\tC.\n"]
    write(tmp_path / "CoLA", train=rows[0], dev=rows[1] + rows[2])
    before = Glue("cola", str(tmp_path)).digest()
    write(tmp_path / "CoLA", train=rows[0] + rows[1], dev=rows[2])
    assert Glue("cola", str(tmp_path)).digest() != before


def test_digest_of_a_missing_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        Glue("rte", "/nowhere").digest()


def test_digest_of_the_hub_needs_no_network() -> None:
    digests = {Glue("rte").digest(), Glue("cola").digest(), Glue("rte", revision="bcdcba79").digest()}
    assert len(digests) == 3
    assert Glue("rte").digest() in digests


# The hub: a local folder in its layout, read by the real `datasets` library.


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


def publish(hub: Path, task: str, **splits: dict[str, list[object]]) -> None:
    """Lay out one configuration as nyu-mll/glue does: a folder of Parquet files that README.md names."""
    lines = ["---", "configs:", f"- config_name: {task}", "  data_files:"]
    (hub / task).mkdir()
    for split, columns in splits.items():
        pq.write_table(pa.table(columns), hub / task / f"{split}-00000-of-00001.parquet")
        lines += [f"  - split: {split}", f"    path: {task}/{split}-*"]
    (hub / "README.md").write_text("\n".join([*lines, "---", ""]))


def test_hub_ids_come_from_idx(hub: Path) -> None:
    rows: dict[str, list[object]] = {"sentence": ["bad", "good"], "label": [0, 1], "idx": [11, 5]}
    publish(hub, "sst2", train=rows, validation={"sentence": ["fine"], "label": [1], "idx": [0]})
    corpus = Glue("sst2", hub=str(hub)).load()
    assert (corpus.train.first, corpus.train.second) == (["bad", "good"], None)
    assert (corpus.train.ids, corpus.train.labels) == ([11, 5], [0, 1])
    assert corpus.dev["dev"].first == ["fine"]


def test_hub_mnli_reads_premise_and_hypothesis_of_both_dev_splits(hub: Path) -> None:
    def row(text: str, label: int) -> dict[str, list[object]]:
        return {"premise": [f"P{text}"], "hypothesis": [f"H{text}"], "label": [label], "idx": [0]}

    publish(hub, "mnli", train=row("", 2), validation_matched=row("1", 0), validation_mismatched=row("2", 1))
    corpus = Glue("mnli", hub=str(hub)).load()
    assert (corpus.train.first, corpus.train.second, corpus.train.labels) == (["P"], ["H"], [2])
    assert (corpus.dev["dev"].first, corpus.dev["dev"].labels) == (["P1"], [0])
    assert (corpus.dev["dev_mm"].second, corpus.dev["dev_mm"].labels) == (["H2"], [1])


def test_hub_scores_are_floats(hub: Path) -> None:
    rows: dict[str, list[object]] = {"sentence1": ["A"], "sentence2": ["B"], "label": [2.5], "idx": [0]}
    publish(hub, "stsb", train=rows, validation=rows)
    assert Glue("stsb", hub=str(hub)).load().train.labels == [2.5]


def test_hub_label_minus_one_is_refused(hub: Path) -> None:
    rows: dict[str, list[object]] = {"sentence": ["a", "b"], "label": [1, 0], "idx": [0, 1]}
    publish(hub, "cola", train=rows, validation={**rows, "label": [1, -1]})
    with pytest.raises(ConfigError, match="validation: the label -1 at idx 1") as caught:
        Glue("cola", hub=str(hub)).load()
    assert "cannot be scored" in caught.value.remedy


def test_hub_out_of_reach_points_to_data_root(hub: Path) -> None:
    with pytest.raises(ConfigError, match="or give data.root a folder"):
        Glue("cola", hub=str(hub / "nowhere")).load()


# The real files.

GLUE_ROOT = os.environ.get("GLUE_ROOT")
real = pytest.mark.skipif(not GLUE_ROOT, reason="GLUE_ROOT does not name a folder with GLUE's files")


@real
@pytest.mark.parametrize(
    ("task", "train", "dev"),
    [
        ("cola", {0: 2528, 1: 6023}, {0: 322, 1: 721}),  # 8,551 and 1,043
        ("sst2", {0: 29780, 1: 37569}, {0: 428, 1: 444}),  # 67,349 and 872
        ("rte", {0: 1249, 1: 1241}, {0: 146, 1: 131}),  # 2,490 and 277
    ],
)
def test_real_label_balance(task: str, train: dict[int, int], dev: dict[int, int]) -> None:
    corpus = Glue(task, GLUE_ROOT).load()
    assert Counter(corpus.train.labels) == train
    assert Counter(corpus.dev["dev"].labels) == dev


@real
@pytest.mark.parametrize(
    ("task", "first", "second"),
    [
        ("cola", "The sailors rode the breeze clear of the rocks.", None),
        ("sst2", "it 's a charming and often affecting journey . ", None),
        (
            "rte",
            (
                "Dana Reeve, the widow of the actor Christopher Reeve, has died of lung cancer at age 44, "
                "according to the Christopher Reeve Foundation."
            ),
            "Christopher Reeve had an accident.",
        ),
    ],
)
def test_real_first_dev_example(task: str, first: str, second: str | None) -> None:
    dev = Glue(task, GLUE_ROOT).load().dev["dev"]
    assert (dev.ids[0], dev.first[0], dev.second and dev.second[0]) == (0, first, second)
