"""The method of the paper: pure functions on tensors, equations 1 to 5.

Probabilities are ``(N, C, H, W)`` and sum to one over C; class 0 is the background.
Source: Ma, Wu, Lawlor, Dong, "Breaking the Barrier: Selective Uncertainty-based Active Learning
for Medical Image Segmentation" (ICASSP 2024).
"""
