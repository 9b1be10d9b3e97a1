"""The method in an hour: the definition."""
