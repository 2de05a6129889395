"""A job that processes share: chunks of ids are submitted, looked up and collected."""
