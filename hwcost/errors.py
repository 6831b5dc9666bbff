"""The one exception type whose message is meant for the person at the keyboard."""


class OfframpError(ValueError):
    """An input that cannot be used.

    The message is one line that says what was expected, what came and what to do;
    the command line prints it as it is and exits with status 2.
    """
