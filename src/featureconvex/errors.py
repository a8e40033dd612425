"""Errors a user can act on."""


class UserError(ValueError):
    """The input, not the library, is at fault; the message names the problem and the remedy.

    The command line prints the message on one line and exits with status 2.
    """


class ConvexityError(UserError):
    """A module cannot be proved convex, or a Lipschitz constant cannot be proved."""
