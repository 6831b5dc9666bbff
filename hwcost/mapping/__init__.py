"""The best mapping of a layer inside one core."""
