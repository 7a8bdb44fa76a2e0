"""A `.tflite` run by LiteRT's Interpreter."""

from ai_edge_litert.interpreter import Interpreter, OpResolverType, SignatureRunner

__all__ = ["load"]


def load(path: str, num_threads: int, xnnpack: bool) -> dict[str, SignatureRunner]:
    """Loads a file; returns its signatures by name. See `load_signatures`."""
    kind = OpResolverType.BUILTIN if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=path, num_threads=num_threads, experimental_op_resolver_type=kind)
    return {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}
