"""The receiving ends of the receive bench: a module each, run in a process of its own."""
