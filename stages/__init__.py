"""One stage of the pipeline, one module: `python -m stages.NAME`."""

import signal
import sys

if sys.argv[0] == "-m":  # this is a stage; Ctrl-C while it still imports needs no traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
