"""Speed as ratios of two things measured in the same run: the machines are noisy, ratios of pairs are less so."""
