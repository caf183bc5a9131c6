"""Mutants of the guarantees: small edits of the source, each of which breaks a promise, and the tests that notice.

``make mutants`` applies each to a copy of the tree and runs its tests there, which must fail. ``make test`` only checks
that the catalogue still fits the source: every text to be replaced is there exactly once, and every test exists.
"""
