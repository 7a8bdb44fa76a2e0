"""Networks as tables of blocks, and update schemes as tables of patterns. No TensorFlow."""
