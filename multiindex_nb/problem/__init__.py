"""Hermite polynomials, targets, losses, white inputs."""
