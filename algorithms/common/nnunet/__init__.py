"""nnU-Net (Isensee et al. 2021) through its own interfaces, with a seed for each source of randomness."""
