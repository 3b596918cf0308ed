"""One file a layout. Its name is the file's; ``LAYOUT`` is what reads it."""
