"""One file a network, named as it is asked for; each holds a ``NETWORK``."""
