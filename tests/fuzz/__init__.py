"""Parsers and state machines under input that nobody thought of.

The short form runs with the suite: the same examples each time, a few seconds a file. The long form searches anew:

    YEETER_FUZZ_EXAMPLES=20000 .venv/bin/python -m pytest tests/fuzz

That many examples a test, and 50 MLLP chunks and 5 PDUs for each of them in the tests of memory. What fails is
printed with the line that replays it.
"""
