"""Kinds of input that a file can have."""

__all__ = ["ARRAY", "INPUTS"]

ARRAY = "array"
# Name in the signatures, and type: raw pixels, features from a prefix, or numbers of any kind.
INPUTS = {"image": "uint8", "features": "int8", ARRAY: "float32"}
