"""The stages of the pipeline, one per module: `python -m stages.NAME`."""

import signal
import sys

if sys.argv[0] == "-m":  # a stage that is still importing: Ctrl-C ends it without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
