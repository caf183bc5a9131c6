"""HL7 Yeeter: plays a hospital's imaging department at load and proves what arrived."""

__version__ = "0.1.0"
