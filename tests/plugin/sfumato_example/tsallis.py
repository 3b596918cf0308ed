"""Tsallis entropy of order 2 of the prediction, 1 − Σ P²."""

from sfumato import Measure

MEASURE = Measure(
    of=lambda probability: 1 - (probability**2).sum(dim=1),
    highest=lambda classes: 1 - 1 / classes,
)
