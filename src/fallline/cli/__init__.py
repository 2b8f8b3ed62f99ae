"""The command line: `fallline race`, `fallline listen`, `fallline list`, `fallline show`."""
