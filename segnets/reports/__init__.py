"""Runs and benchmarks as one page that holds everything in itself."""
