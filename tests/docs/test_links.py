"""Links of README, the documentation and the clients' pages: files and headings exist; the site's list of pages too."""

import pathlib
import re
import unicodedata

import pytest

from tests.docs.pages import ROOT

PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "export").glob("*/README.md"),
        ROOT / "golden" / "README.md",
    }
)
_CODE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+?)$", re.MULTILINE)


def anchors(text):
    """Anchors of the headings of a page, as GitHub and the site make them."""
    found = []
    for heading in _HEADING.findall(_CODE.sub("", text)):
        plain = unicodedata.normalize("NFKD", re.sub(r"[`*]", "", heading)).lower()
        found.append(re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", plain).strip()))
    return found


def links(text):
    """Links of a page that lead to files."""
    text = _INLINE.sub("", _CODE.sub("", text))
    return [link for link in _LINK.findall(text) if "://" not in link and not link.startswith("mailto:")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            broken.append(link)
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            broken.append(f"{link}: no such heading")
    assert not broken, broken


def test_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 8000


def test_anchors_and_links_are_found():
    text = "# A `b` C\n\n```bash\n# no heading\n[x](y.md)\n```\n\n## 1. Two words\n[x](a.md#b), `[x](c.md)`, [y](https://z)\n"
    assert anchors(text) == ["a-b-c", "1-two-words"]
    assert links(text) == ["a.md#b"]


def test_every_page_of_the_documentation_is_listed():
    listed = re.findall(r"([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    copied = re.findall(r'": "([\w./-]+\.md)"', (ROOT / "docs" / "hooks.py").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(pages | set(copied))
    assert all(pathlib.PurePath(page).suffix == ".md" for page in listed)
