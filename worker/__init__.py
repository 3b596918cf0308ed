"""Everything that computes: the acquisition method, the network, the tasks, the simulation."""

import os

# Read by OpenMP when torch is loaded. Its threads wait for each other by spinning, and where
# another process wants the same cores (the server, a second worker, a browser), a small network's
# steps take many times as long so. Sleeping costs next to nothing on idle cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
