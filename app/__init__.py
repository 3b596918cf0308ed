"""Sfumato's server: what is kept, the loop over it, and its HTTP face. Never imports torch."""
