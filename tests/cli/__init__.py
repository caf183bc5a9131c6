"""The command line, in this process where that is enough, and as the real program."""
