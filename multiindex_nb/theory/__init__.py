"""What the theory predicts."""
