"""`make chaos`: real processes of the service, broken on purpose while annotators draw.

Nothing here is told by the service itself that all went well: the annotators keep journals of what
they were handed, what they drew and what was answered, and these are held against the database at
the end (``verdict``).
"""
