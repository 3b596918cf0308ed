"""A package as somebody else would write it: a measure, a strategy, a layout and a network.

It imports nothing of Sfumato but ``sfumato``.
"""
