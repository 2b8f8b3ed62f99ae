"""The laws of Fallline's interfaces as functions. Every registered part is run through those of its interface."""
