"""The words of existing clients, so that they work unchanged: see `base` for what a dialect is."""
