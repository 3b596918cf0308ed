"""BALD: what stochastic passes disagree about (Houlsby et al. 2011)."""

import math

from worker.acquisition.measure import Measure
from worker.acquisition.uncertainty import mutual_information_of_means

MEASURE = Measure(of=mutual_information_of_means, highest=math.log, stochastic=True)
