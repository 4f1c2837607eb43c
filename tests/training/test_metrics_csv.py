"""metrics.csv is only ever appended, and a resumed stage does not repeat itself."""

from pathlib import Path

from hskd_lightning.training.metrics_csv import MetricsCsv


def test_one_row_a_value(tmp_path: Path) -> None:
    MetricsCsv(tmp_path / "metrics.csv").log_metrics({"hidden/loss": 0.5, "epoch": 1.0}, step=3)
    assert (tmp_path / "metrics.csv").read_text().split() == ["stage,step,name,value", "hidden,3,loss,0.5"]


def test_rows_after_the_checkpoint_are_dropped_for_that_stage_alone(tmp_path: Path) -> None:
    log = MetricsCsv(tmp_path / "metrics.csv")
    for stage in ("hidden", "prediction"):
        for step in (1, 2, 3):
            log.log_metrics({f"{stage}/loss": 1.0}, step)
    log.forget_after("prediction", 2)
    rows = [line.split(",")[:2] for line in log.path.read_text().splitlines()[1:]]
    assert rows == [["hidden", "1"], ["hidden", "2"], ["hidden", "3"], ["prediction", "1"]]


def test_a_row_cut_off_by_a_kill_is_dropped(tmp_path: Path) -> None:
    log = MetricsCsv(tmp_path / "metrics.csv")
    log.log_metrics({"hidden/loss": 1.0}, 1)
    with log.path.open("a") as file:
        file.write("hidden,2")
    log.forget_after("hidden", 5)
    assert log.path.read_text().split() == ["stage,step,name,value", "hidden,1,loss,1.0"]


def test_rows_are_what_was_logged(tmp_path: Path) -> None:
    log = MetricsCsv(tmp_path / "metrics.csv")
    assert log.rows() == []
    log.log_metrics({"hidden/loss": 0.5, "prediction/selection_accuracy": 1.0}, step=3)
    assert log.rows() == [("hidden/loss", 3, 0.5), ("prediction/selection_accuracy", 3, 1.0)]
