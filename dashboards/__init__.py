"""Figures and reports over a finished or running study."""
