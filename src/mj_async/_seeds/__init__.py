"""Looking up the seeds of many tasks."""
