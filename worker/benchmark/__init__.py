"""`sfumato benchmark`: query strategies compared in process, from an oracle, and reported.

A ground (``ground``) is divided by seed (``splits``); a run (``runs``) is one strategy on one
seed, round by round, and leaves its rounds in files (``record``) that any process can go on
from; ``command`` keeps the runs going; ``report`` reads the tidy table alone.
"""
