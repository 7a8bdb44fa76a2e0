"""Wording that the product's text does not use, and replacements: the data for `test_english.py`.

A space in a pattern also matches a line break in a docstring, a comment or a string. `paths` are the files
in which a pattern is an error; by default, all files of the product.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Wording:
    """A pattern of wording and its replacement.

    Attributes:
        pattern: Regular expression; case is ignored.
        write: The replacement, for the message of the test.
        paths: Patterns of `fnmatch` for the paths, relative to the repository, in which the pattern is an error.
    """

    pattern: str
    write: str
    paths: tuple[str, ...] = ("*",)


# Files without prose of this product, and files that a test or a build compares with others.
IGNORED = (
    "golden/",
    "tests/",
    "export/android/library/src/test/",
    "export/android/library-coroutines/src/test/",
    "export/android/sample/src/test/",
    "export/web/browser-test/",
    "export/web/test/",
)

_BRITISH = "|".join(
    (
        r"(?:normal|optim|quant|initial|serial|recogn|organ|summar|minim|maxim|general|util|visual|synchron)"
        r"is(?:e|ed|es|er|ers|ing|ation|ations)",
        "(?:colour|behaviour|favour|neighbour|honour)(?:s|ed|ing|able|hood)?",
        "centre[ds]?|centring|labell(?:ed|ing)|modell(?:ed|ing)|cancelled|cancelling",
        "analys(?:e|ed|es|ing)|licence|grey|catalogue|artefacts?|defence|judgement|whilst",
    )
)

# Files in which noun clauses with "what" were replaced.
_SWEPT = (
    "tinytl_tf/*",
    "export/*.py",
    "export/c/*.[ch]",
    "export/android/*.kt",
    "export/web/src/*.ts",
    "benchmarks/*",
    "configs/*",
)
_AFTER_WHAT = "|".join(
    (
        "an?|the|it|they|you|this|that|these|one|no|each|every|its|our|their|there",
        "was|were|has|have|had|are|may|can|could|is (?!None|not None)|[a-z]+s",
    )
)

WORDINGS = (
    Wording(r"\blearnt\b", "learned"),
    Wording(rf"\b(?:{_BRITISH})\b", "the American spelling"),
    Wording(r"\bcenterd\b", "centered"),
    Wording(r"\bcan not\b", "cannot"),
    Wording(r"\b(?:go|goes|going|gone|went) on\b", "continue, resume, keep"),
    Wording(r"\bthere (?:is|are|was|were) none\b", "name the noun: without X, if X is missing, an unknown X"),
    Wording(
        r"(?<!\w)(?!there\b)\w+[^\w\s]* (?:is|are|was|were) no (?!such\b|longer\b|more\b|less\b)\.?\w+",
        "is not a, are not",
    ),
    Wording(r"\b(?:is|are) none of\b", "is not one of"),
    Wording(r"\bbesides?\b", "next to, in addition to, apart from, compared with"),
    Wording(r"\bas ever\b", "still, as before"),
    Wording(r"\b(?:once more|anew|afresh)\b", "again"),
    Wording(r"\bcomes? home\b", "load, bring back"),
    Wording(r"\bwhat is not there was not run\b", "missing entries were not run"),
    Wording(rf"(?<![{{.`\\w-])what (?:{_AFTER_WHAT}) ", "the noun: the output, the features, the fields", _SWEPT),
)
