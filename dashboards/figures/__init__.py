"""One figure a file. Each gives a `View`: the same figure serves the report, optuna-dashboard and files."""
