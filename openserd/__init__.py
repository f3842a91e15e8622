"""openserd: OpenSER 1.2, the SIP server, in Python."""

__version__ = "0.1.0"
