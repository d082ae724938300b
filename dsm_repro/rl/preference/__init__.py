"""Learning from pairs of completions instead of single ones: direct preference optimisation."""
