"""What a study gives to others: its tables while it runs and when it is done, LaTeX, BibTeX."""
