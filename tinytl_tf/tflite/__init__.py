"""All that knows a `.tflite` and no TensorFlow: the graph, edits, runtimes, the manifest, the memory of a process."""
