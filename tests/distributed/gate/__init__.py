"""The shared gate: `src/mj_async/distributed/_gate`."""
