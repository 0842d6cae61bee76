"""Measurements, run by hand: ``python -m benchmarks.core``. Never part of the tests."""
