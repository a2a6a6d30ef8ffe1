"""The simulator: what it models, what it finds, and that it would find more."""
