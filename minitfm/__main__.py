"""`python -m minitfm` is the command `minitfm`."""

from minitfm.translate.cli import main

main()
