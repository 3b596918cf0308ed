"""What predictions come to on labelled slices: overlap, surfaces, lesions, calibration."""
