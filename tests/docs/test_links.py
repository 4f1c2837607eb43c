"""Files that pages name are there. (Links within docs/ are mkdocs's to check, and headings.)"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest

from docs import reference_pages
from tests.docs.pages import PAGES
from tests.helpers import ROOT

LINKED = [*PAGES, *(ROOT / "results").rglob("README.md"), *(ROOT / "benchmarks").rglob("README.md")]
GENERATED = {f"docs/{page}" for page in reference_pages.pages()}
LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)(?:#[^)\s]*)?\)")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_exist(page: Path) -> None:
    folder = page.parent.relative_to(ROOT).as_posix()
    named = {posixpath.normpath(posixpath.join(folder, name)) for name in LINK.findall(page.read_text())}
    assert {name for name in named - GENERATED if not (ROOT / name).exists()} == set()
