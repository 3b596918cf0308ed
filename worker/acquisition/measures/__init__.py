"""One file a measure, named as it is asked for: ``mc_dropout.py`` is ``mc-dropout``."""
