"""LiteRT's two ways to run a file, the Interpreter and the CompiledModel, behind one function."""

from tinytl_tf.tflite.runtime.signatures import APIS, THREADS, check_api, check_threads, import_api, load_signatures

__all__ = ["APIS", "THREADS", "check_api", "check_threads", "import_api", "load_signatures"]
