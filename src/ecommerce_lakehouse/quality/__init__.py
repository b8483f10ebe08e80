"""Data quality: the rules, and the datasets that keep every row accounted for."""
