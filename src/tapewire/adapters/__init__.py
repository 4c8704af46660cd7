"""The live side of the ports: clock, files, HTTP, WebSocket. Only composition roots choose among them.

Nothing is imported here, so that a program pays for the adapters that it uses and no others.
"""
