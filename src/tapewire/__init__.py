"""The ALOR Broker WebSocket API, both ends of the wire."""

__version__ = "0.1.0"
