"""The suite: many small problems of different kinds, one protocol, and scores. Its command is `fallline race suite`."""
