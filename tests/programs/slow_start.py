"""A program that takes its time to start: ``slow_start.py SECONDS SCRIPT [ARGUMENT...]``."""

import runpy
import sys
import time

time.sleep(float(sys.argv[1]))
sys.argv[:2] = []
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
