"""The commands of `mj-async`, one a file; `_app` imports a command when it is called."""
