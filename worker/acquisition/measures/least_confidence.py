"""One minus the highest class probability."""

from worker.acquisition.measure import Measure
from worker.acquisition.uncertainty import least_confidence

MEASURE = Measure(of=least_confidence, highest=lambda classes: 1 - 1 / classes)
