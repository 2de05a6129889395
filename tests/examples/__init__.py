"""The examples, each on its framework's real dispatcher; `nox -s examples` installs those."""
