"""The tarballs of images and models: the platform's rules, and what is kept of them."""
