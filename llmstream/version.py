"""The version of this package, where everything else may import it."""

__version__ = "0.1.0"
