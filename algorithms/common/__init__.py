"""What every algorithm needs to keep the container contracts; no algorithm imports another."""
