"""Everything that computes: the acquisition method, the network, the tasks, the simulation."""
