"""What a broker answered, or did not, as an error with its remedy."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from streams.errors import InputError

_SILENT: Final = frozenset(
    {
        "_TRANSPORT",
        "_ALL_BROKERS_DOWN",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "_MSG_TIMED_OUT",
        "_RESOLVE",
        "REQUEST_TIMED_OUT",
    }
)
_UNKNOWN_USER: Final = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"})
_UNSUPPORTED: Final = frozenset({"UNSUPPORTED_VERSION", "_UNSUPPORTED_FEATURE"})
_FORBIDDEN: Final = "_AUTHORIZATION_FAILED"

UNREACHABLE: Final = "start it, or name another with TICKGATE_BROKER"
UNSUPPORTED: Final = "take a real Kafka of version 2.4 or newer; the embedded broker makes its topics by itself"


class Heard:
    """Keeps what a client last complained of; its own exceptions say little more than that it took too long."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, error: KafkaError) -> None:
        """Take one complaint."""
        if error.name() != "_ALL_BROKERS_DOWN":
            self.last = error.str()


def trouble(error: KafkaException, place: str, what: str, heard: str = "") -> InputError:
    """Say what went wrong at a place (a broker, a topic) while something was tried."""
    reason = error.args[0]
    assert isinstance(reason, KafkaError), "librdkafka's exceptions hold one of its errors"
    name, told = reason.name(), reason.str()
    if name in _SILENT:
        return InputError(place, f"no answer, so that it could not {what} ({heard or told})", UNREACHABLE)
    if name.endswith(_FORBIDDEN):
        return InputError(
            place, f"the broker does not let this user {what} ({told})", "ask for the right to, or another user"
        )
    if name in _UNKNOWN_USER:
        return InputError(place, f"the broker does not know this user ({told})", "check name and password")
    if name in _UNSUPPORTED:
        return InputError(place, f"the broker cannot {what} ({told})", UNSUPPORTED)
    if name == "INVALID_REPLICATION_FACTOR":
        return InputError(
            place, f"there are too few brokers ({told})", "write a lower replication, or start more brokers"
        )
    return InputError(place, f"the broker refused to {what} ({name}: {told})", "mend what it names")
