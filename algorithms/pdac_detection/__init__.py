"""Detection of pancreatic cancer by nnU-Net."""
