"""Accelerators as data: cores, arrays, memories, links; read from TOML."""
