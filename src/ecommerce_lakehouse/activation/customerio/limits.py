"""What one call to Customer.io may hold, and how many calls may be made: `Limits`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The documented limits. Sources differ on the sizes, so each of them can be set.

    Sizes are decimal bytes of encoded JSON. `call_bytes` bounds one message, by itself or in a batch;
    `batch_bytes` bounds the whole body of a batch, envelope included. At most `requests` requests are made
    in any `seconds`. The rest bounds what a message holds; messages are checked against it when they are
    validated.
    """

    call_bytes: int = 32_000
    batch_bytes: int = 500_000
    requests: int = 3_000
    seconds: float = 3.0
    attributes: int = 300
    attribute_name_bytes: int = 150
    attribute_value_bytes: int = 1_000
    event_name_bytes: int = 100

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")
