"""What can go wrong with a database, by what the caller can do about it."""

from openserd.errors import ResourceError


class DatabaseError(ResourceError):
    """A database did not do what it was asked for."""


class DatabaseUnavailable(DatabaseError):
    """It cannot be reached, or not within the time there is.  The same may work later."""


class DatabaseBusy(DatabaseUnavailable):
    """It is there and cannot do it now: a row is locked, its disk is full.  The same may work later."""


class DatabaseRefused(DatabaseError):
    """It will not do this, now or later: no such column, a value it does not take, a key that is there already."""
