"""The search: genome, objectives, policy, running, resuming, results."""
