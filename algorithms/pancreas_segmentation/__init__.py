"""Segmentation of the pancreas in CT by nnU-Net."""
