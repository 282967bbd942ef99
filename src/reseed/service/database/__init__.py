"""The tables, their migrations, and the transactions that change them."""
