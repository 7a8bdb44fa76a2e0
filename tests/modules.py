"""Lists all modules of the package, including those in the top-level folders of the repository."""

import pathlib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[1]


def module_files() -> Iterator[tuple[str, pathlib.Path]]:
    """Name and file of each module."""
    for folder, package in (("tinytl_tf", "tinytl_tf"), ("export", "tinytl_tf.export")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not (path.parent / "__init__.py").exists():  # a script for what leaves Python
                continue
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([package, *parts]).removesuffix(".__init__"), path
