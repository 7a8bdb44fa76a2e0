"""Everything about a `.tflite`, without TensorFlow: graph, edits, runtimes, manifest, memory of a process."""
