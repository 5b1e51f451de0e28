"""Errors that a user caused and can mend: where it is, what is wrong, what to do."""


class InputError(Exception):
    """Something given by the user cannot be used: a file, a line of it, a field, a setting."""

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(place, problem, remedy)
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.remedy}"


def in_words(error: BaseException) -> str:
    """What an exception says; its kind, where it says nothing, as a time-out does."""
    return str(error) or type(error).__name__


def os_trouble(error: OSError) -> str:
    """Say in words what the system refused, without the path, which the place names already."""
    return (error.strerror or in_words(error)).lower()


def shortened(text: str, characters: int = 40) -> str:
    """The text, or its beginning where it is long, on one printable line."""
    shown = text if len(text) <= characters else f"{text[:characters]}…"
    return repr(shown)


def on_one_line(text: str, characters: int) -> str:
    """The text, or its beginning, with what would not print shown as a question mark."""
    kept = text if len(text) <= characters else f"{text[: characters - 1]}…"
    return "".join(character if character.isprintable() else "?" for character in kept)
