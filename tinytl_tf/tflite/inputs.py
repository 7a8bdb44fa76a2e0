"""What a file can infer and be trained on."""

__all__ = ["ARRAY", "INPUTS"]

ARRAY = "array"
# Name in the signatures, and type: raw pixels, what a prefix has made of them, or numbers of any kind.
INPUTS = {"image": "uint8", "features": "int8", ARRAY: "float32"}
