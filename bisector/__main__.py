"""``python -m bisector`` is the command ``speedbump-bisect``."""

import sys

from bisector.cli import main

sys.exit(main())
