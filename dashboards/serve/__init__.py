"""optuna-dashboard with a study's figures, notes and files, on a copy of the study in memory."""
