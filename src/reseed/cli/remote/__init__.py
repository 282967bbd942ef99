"""A service of Reseed as its participants' commands reach it: by HTTP, with a token."""
