"""Phantoms: anatomy made of simple shapes, cut into CT and MR sections or projected as radiographs.

The same bytes come out on any processor and with any release of numpy: only ``+ - * /``, square roots and comparisons
are used on floating point numbers (IEEE 754 rounds these exactly), everything after painting is integer arithmetic, and
noise comes from the raw words of a PCG64 generator. Sines, exponentials and library distributions are left out on
purpose: their last bit depends on the processor's vector unit.
"""
