"""Exporting a program's prompts as files that need no afnio to use."""

from afnio.exporting._export import export_program

__all__ = ["export_program"]
