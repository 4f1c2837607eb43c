"""What is printed: a line each, 80 columns, colours on a terminal alone, nothing secret."""

from __future__ import annotations

import pytest

from hskd_lightning.doctor.finding import note, ok, red
from hskd_lightning.doctor.printed import Report, redacted

COLUMNS = 80


def test_a_finding_is_its_state_its_name_what_is_said_and_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    Report().show("cores", red("none", "take some"))
    assert capsys.readouterr().out == "  red   cores          none\n                       remedy: take some\n"


def test_no_line_is_wider_than_a_terminal_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Report().show("a name", note("words and " * 30 + "/long" * 30, "type-this-and-that " * 20))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) < COLUMNS and out.isascii()


def test_markup_is_printed_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    Report().show("x", ok("hskd-lightning[onnx] :warning:"))
    assert "hskd-lightning[onnx] :warning:" in capsys.readouterr().out


def test_colours_are_for_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for one
    monkeypatch.setenv("TERM", "xterm")
    Report().show("x", ok("fine"))
    assert "\x1b[32mok\x1b[0m" in capsys.readouterr().out


@pytest.mark.parametrize(("found", "fit"), [(note("slow"), True), (red("broken", "mend it"), False)])
def test_red_alone_is_unfit(found: object, fit: bool, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.show("x", ok("fine"))
    report.show("y", found)  # type: ignore[arg-type]
    assert report.end() is fit
    assert ("1 ok, 1 note, 0 red" if fit else "1 ok, 0 notes, 1 red") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("by http://me:pass@word@proxy:3128", "by http://***@proxy:3128"),
        ("by me:hunter2@proxy:3128", "by ***@proxy:3128"),
        ("token hf_abcdef refused", "token *** refused"),
        ("token hf_abcdefgh refused", "token *** refused"),  # a second secret, that begins as the first does
        ("layer 8, true", "layer 8, true"),
    ],
)
def test_secrets_are_hidden(text: str, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdef")
    monkeypatch.setenv("MY_PASSWORD", "hf_abcdefgh")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    assert redacted(text) == left
