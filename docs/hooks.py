"""MkDocs hooks that add the repository's pages outside `docs/` to the site, and adjust the links between pages.

In the repository, pages link to each other by path, for example `../RESULTS.md`, which works in any Markdown viewer.
The site has copies of the pages outside `docs/`, and its links lead to these copies. Lists are indented by two or three
spaces in the repository and by four in the site.
"""

import pathlib
import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).parents[1]
# Path in the repository -> path in the site.
COPIED = {
    "RESULTS.md": "results.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "export/android/README.md": "clients/android.md",
    "export/web/README.md": "clients/web.md",
    "export/c/README.md": "clients/c.md",
    "export/micro/README.md": "clients/micro.md",
    "export/coral/README.md": "clients/coral.md",
}
SOURCES = {site: source for source, site in COPIED.items()}
_LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
_ITEM = re.compile(r"(?:[*-]|\d+\.) +(?=\S)")
_LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]+src=\"?https?:|<link[^>]+rel=\"?(?:stylesheet|preconnect)[^>]+https?:"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages outside `docs/`."""
    for source, site in COPIED.items():
        files.append(File.generated(config, site, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between files of the repository into links between pages of the site, and indents lists."""
    site = page.file.src_uri
    source = SOURCES.get(site, f"docs/{site}")

    def replace(match: re.Match) -> str:
        link = match[2]
        if "://" in link or link.startswith(("mailto:", "/")):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if target == "README.md":
            target = "docs/index.md"
        place = COPIED.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else "")
        if not place:
            raise PluginError(f"{source} links to {link}, not a page of the site: name the file without a link")
        return match[1] + posixpath.relpath(place, posixpath.dirname(site) or ".") + match[3]

    return _indented(_LINK.sub(replace, markdown))


def _indented(markdown: str) -> str:
    """Indents the content of list items by four spaces, and adds empty lines around the blocks within."""
    lines, width, in_fence, has_blocks = [], 0, False, False
    for line in markdown.splitlines():
        item = _ITEM.match(line)
        if width and line.startswith(" " * width):
            line = "    " + line[width:]
            has_blocks = has_blocks or not lines[-1]
        elif item and not in_fence:
            if has_blocks and lines[-1]:
                lines.append("")
            width = len(item[0])
        elif line.strip():
            width, has_blocks = 0, False
        if line.lstrip().startswith("```"):
            in_fence = not in_fence
            has_blocks = has_blocks or bool(width)
        lines.append(line)
    return "\n".join(lines)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Raises an error for a page that would load something from another server."""
    if found := _LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} would load something from another server: {found[0]}")
    return output
