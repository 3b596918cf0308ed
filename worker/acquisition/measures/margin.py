"""One minus the lead of the first class over the second."""

from worker.acquisition.measure import Measure
from worker.acquisition.uncertainty import margin

MEASURE = Measure(of=margin, highest=lambda classes: 1.0)
