"""Shannon entropy of the prediction."""

import math

from worker.acquisition.measure import Measure
from worker.acquisition.uncertainty import entropy

MEASURE = Measure(of=entropy, highest=math.log)
