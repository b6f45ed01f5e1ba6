"""One stage of the pipeline, one module: `python -m stages.NAME`."""
