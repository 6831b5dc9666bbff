"""Which core runs which layer, and what moves between cores."""
