"""What the site has besides the pages of docs/: the reference, and files of the repository that pages link to.

A link that leaves docs/ is right in the repository. On the site a picture of results/ comes along, a page of MIRRORED
is found under its name there, and of any other file the link's text is what stays.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import reference_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
MIRRORED = {
    "results/README.md": "results.md",
    "results/sst2/bits/README.md": "smallest_store.md",
    "results/sst2/minimum/README.md": "fewest_bytes.md",
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Pages of the repository that are pages of the site, too."""
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, the mirrored ones, and the pictures of results/."""
    mirrored = {page: (ROOT / source).read_text() for source, page in MIRRORED.items()}
    for page, text in {**reference_pages.pages(), **mirrored}.items():
        files.append(File.generated(config, page, content=text))
    for picture in sorted((ROOT / "results").rglob("*.png")):
        files.append(File.generated(config, picture.relative_to(ROOT).as_posix(), abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links of the site."""
    here = page.file.src_uri
    source = {site: repository for repository, site in MIRRORED.items()}.get(here, f"docs/{here}")
    there = {file.src_uri for file in files}
    return LINK.sub(lambda link: linked(link, source, here, there), markdown)


def linked(link: re.Match[str], source: str, here: str, there: set[str]) -> str:
    """A link of the site, or its text where it names a file that the site does not have.

    Args:
        link: found in `source`, a file of the repository.
        here: the page that it is on, from the top of the site.
        there: all pages and pictures of the site.
    """
    text, target, anchor = link.groups()
    named = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    site = MIRRORED.get(named, named.removeprefix("docs/"))
    if site in there:
        return f"[{text}]({posixpath.relpath(site, posixpath.dirname(here) or '.')}{anchor or ''})"
    inside = named.startswith("docs/") or not (ROOT / named).exists()
    return link[0] if inside else text  # what is nowhere is left to mkdocs, which says so
