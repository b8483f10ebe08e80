"""Data quality: the rules, and the datasets that account for every row."""
