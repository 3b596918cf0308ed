"""`python -m app.cli`: the same as `sfumato`."""

from app.cli import main

main()
