"""The families of models that can write soft tokens."""
