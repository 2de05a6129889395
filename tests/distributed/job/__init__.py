"""Jobs: `src/mj_async/distributed/_job`, and the command `mj-async cluster`."""
