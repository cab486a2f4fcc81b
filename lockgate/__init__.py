"""Lockgate: from a tabular data set to a served, watched TensorFlow model."""

__version__ = "0.1.0"
