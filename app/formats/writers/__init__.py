"""One file a format that data sets go out in. Its name is the file's; ``WRITER`` begins one."""
