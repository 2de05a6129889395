"""The examples, run by their frameworks' real dispatchers; `nox -s examples` installs those."""
