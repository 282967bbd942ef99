"""Detection of clinically significant prostate cancer by nnU-Net."""
