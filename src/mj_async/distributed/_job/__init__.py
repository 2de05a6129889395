"""A job on many machines: ids are submitted, looked up and collected by way of Redis."""
