"""Everything that computes: the acquisition method, the network, the Celery tasks, the simulation."""
