"""A part of the search space whose networks are all trained once, so that searches compare without training."""
