"""Segmentation of the hippocampus in T1-weighted MRI by nnU-Net."""
