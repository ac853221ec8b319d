"""``python -m sessionlint`` is ``sessionlint``."""

import sys

from sessionlint.cli import main

if __name__ == "__main__":
    sys.exit(main())
