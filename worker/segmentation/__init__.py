"""The network: its shape, its training, its streamed predictions, its Dice."""
