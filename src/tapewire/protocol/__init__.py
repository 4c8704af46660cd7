"""Everything that is on the wire: bytes in, bytes out. Pure.

``requests`` and ``commands`` are what clients send, ``messages`` and ``formats`` what servers send,
``assembler`` and ``frames`` what lies under both. Import from the module that has the name.
"""
