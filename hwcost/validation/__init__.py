"""Comparison with reference tables; costs come from the simulator alone."""
