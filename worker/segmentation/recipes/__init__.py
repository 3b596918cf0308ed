"""One file a recipe, named as it is asked for; each holds a ``RECIPE``."""
