"""YAML and JSON documents, read into their contracts; mistakes are reported with their place."""
