"""Simulated annotators, and what is measured with them."""
