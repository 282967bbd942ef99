"""The pages: written by the server, complete without JavaScript, a little livelier with it."""
