"""The front of a study trained again at full budget and measured on the test split, once."""
