"""Hooks of mkdocs: README.md is the first page, and links to files outside of docs/ become plain text."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files, config):
    """Adds README.md as index.md, with its links as they are seen from docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Keeps the text of links to files that are not part of the site."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def kept(link):
        path = (here / link[2]).resolve()
        is_page = path.is_relative_to(ROOT / "docs") and path.suffix == ".md" and path.is_file()
        return link[0] if is_page else link[1]

    return LINK.sub(kept, markdown)
