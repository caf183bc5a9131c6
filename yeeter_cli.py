"""``python yeeter_cli.py ...``: the same as ``yeeter ...``."""

import sys

from app.cli import main

if __name__ == "__main__":
    sys.exit(main())
