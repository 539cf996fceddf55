"""The contenders that are libraries: one small program each, run as a process of its own.

Each takes a ``Job`` as JSON in its first argument and may print a JSON object of figures that
only it can know. Keep them free of imports from the rest of ``benchmarks``: they run in other
environments than the runner.
"""
