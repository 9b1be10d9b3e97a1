"""Other methods, real tables."""
