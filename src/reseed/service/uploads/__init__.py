"""Uploads that can be taken up again (tus 1.0): headers, files, quotas, retention."""
