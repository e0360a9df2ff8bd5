"""What leaves a search: a model, its code, tables, a study, the next space."""
