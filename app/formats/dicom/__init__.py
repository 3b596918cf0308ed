"""DICOM as cases: pydicom and highdicom read, the judgement of what is one clean stack is ours."""
