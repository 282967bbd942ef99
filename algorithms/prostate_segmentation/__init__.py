"""Segmentation of the prostate in MRI by nnU-Net."""
