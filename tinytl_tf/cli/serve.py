"""Serves a page that trains an exported .tflite in the browser. Photos never leave the browser.

The page is part of this package. LiteRT's web runtime is not: it is downloaded from npm once (12 MB, verified against a
checksum) and kept in ~/.cache, or read from the folder of --wasm. Press Ctrl-C to stop the server.

By default, only this machine can open the page; use --host to allow others. Browsers allow camera access and offline
use only on localhost or over https.

Examples:
  tinytl serve --model=photos.tflite
  tinytl serve --model=photos.tflite --port=0 --wasm=node_modules/@litertjs/core/wasm
"""

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.device.opening import open_file
from tinytl_tf.web import PageServer, fetch_litert, litert_files, page_resources

__all__ = []


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string(
        "model",
        None,
        "The .tflite that the page opens first; default: a general one with room for new classes.",
        flag_values=values,
    )
    flags.DEFINE_string("host", "127.0.0.1", "Address to listen on; 0.0.0.0 for all.", flag_values=values)
    flags.DEFINE_integer(
        "port", 8000, "Port; 0 for any free one.", lower_bound=0, upper_bound=65535, flag_values=values
    )
    flags.DEFINE_string(
        "wasm", None, "Folder `wasm` of the npm package @litertjs/core; default: downloaded once.", flag_values=values
    )
    flags.DEFINE_boolean("wasm_threads", False, "Let LiteRT use several threads in the browser.", flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    model = None if values.model is None else open_file(values.model, trust=True)
    page_resources(model, ())  # rejects unsupported models before any download
    runtime = litert_files(fetch_litert() if values.wasm is None else values.wasm, threads=values.wasm_threads)
    server = PageServer(page_resources(model, runtime), host=values.host, port=values.port, threads=values.wasm_threads)
    with server:
        if model is not None:
            labels = ", ".join(model.labels)
            print(f"model: {model.path}, classes {labels}")
        if not server.is_local:
            print("other machines can open this page; over http their browsers give it no camera")
        print(f"open {server.address} in a browser; Ctrl-C ends", flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # the runner has recorded it
            server.serve_forever()
        return {"address": server.address}


if __name__ == "__main__":
    sys.exit(runner.run_command("serve", sys.argv[1:]))
