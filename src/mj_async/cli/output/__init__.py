"""What the user sees: results on stdout, progress and messages on stderr, exit codes."""
