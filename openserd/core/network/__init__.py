"""Addresses: of this server, of those it talks to, and where nothing may be sent."""
