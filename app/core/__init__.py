"""Words that all share: settings of a project, names, splits, seeds, errors, pixels, geometry.

Knows no database, no HTTP and no torch.
"""
