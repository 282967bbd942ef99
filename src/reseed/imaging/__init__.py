"""Image files as their own bytes say they are, for whoever scores images and whoever keeps them."""
