"""DICOM studies from orders: attributes, encoding and pixels. Pure: no I/O, no clock, no global randomness.

``study.generate_study`` makes a study, ``part10`` frames an instance as a file's content, ``person_name`` writes names
as DICOM does, ``estimate`` says how large a study will be, ``checks`` compares a study with its order.
"""
