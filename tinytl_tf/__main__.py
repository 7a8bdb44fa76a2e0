"""`python -m tinytl_tf`, the same as `tinytl`."""

import sys

from tinytl_tf.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
