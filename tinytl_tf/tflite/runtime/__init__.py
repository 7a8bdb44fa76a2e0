"""LiteRT's two ways to run a file, the Interpreter and the CompiledModel, behind one function."""

from tinytl_tf.tflite.runtime.signatures import APIS, MOST_THREADS, THREADS, check_api, import_api, load_signatures

__all__ = ["APIS", "MOST_THREADS", "THREADS", "check_api", "import_api", "load_signatures"]
