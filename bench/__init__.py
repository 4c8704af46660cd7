"""Measurements of tapewire against bare limits and against peers, in the same run: ``python -m bench list``.

Each bench is one module here and one line in ``bench.registry``. How to read the figures: docs/benchmarks.md.
"""
