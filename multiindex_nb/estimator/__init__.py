"""The adviser, refinement, the scikit-learn estimator."""
