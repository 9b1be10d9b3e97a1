"""Both stages, fast and checked."""
