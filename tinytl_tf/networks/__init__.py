"""Networks as tables of blocks, and update schemes as tables of rows. Does not use TensorFlow."""
