"""`python -m minitfm` is the command `minitfm`."""

from minitfm.cli import main

main()
