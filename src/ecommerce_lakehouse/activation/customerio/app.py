"""The App API, which sends messages to people: `AppClient` and `AsyncAppClient`.

It has its own host, its own key, and no way to recognize a repeated call. So a call is tried again only where
it cannot have been carried out: the host was not reached, or it answered 408 or 429.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ecommerce_lakehouse.activation.customerio.callers import AsyncCaller, Caller
from ecommerce_lakehouse.activation.customerio.calls import REJECTIONS, Attempt
from ecommerce_lakehouse.activation.customerio.encoding import encode_value
from ecommerce_lakehouse.activation.customerio.errors import DeliveryError
from ecommerce_lakehouse.activation.customerio.models import Properties
from ecommerce_lakehouse.activation.customerio.rates import Rate
from ecommerce_lakehouse.activation.customerio.settings import Settings


class _Request(BaseModel):
    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True
    )

    def wire(self) -> dict[str, Any]:
        """The request as the API names it."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Recipient(_Request):
    """Who a message is for, by one of three identifiers."""

    id: str | None = None
    email: str | None = None
    cio_id: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(bool(value) for value in (self.id, self.email, self.cio_id)) != 1:
            raise ValueError("exactly one of id, email and cio_id is needed")
        return self


class TransactionalEmail(_Request):
    """One email: from a template, or written here with `body`, `subject` and `sender`."""

    to: Annotated[str, Field(min_length=1)]
    identifiers: Recipient
    transactional_message_id: str | int | None = None
    message_data: Properties | None = None
    sender: Annotated[str | None, Field(alias="from")] = None
    subject: str | None = None
    body: str | None = None
    body_plain: str | None = None
    preheader: str | None = None
    reply_to: str | None = None
    bcc: str | None = None
    headers: dict[str, str] | None = None
    attachments: dict[str, str] | None = None
    language: str | None = None
    send_at: int | None = None
    tracked: bool | None = None
    queue_draft: bool | None = None
    send_to_unsubscribed: bool | None = None
    disable_message_retention: bool | None = None

    @model_validator(mode="after")
    def _content(self) -> Self:
        if self.transactional_message_id is None and not (self.body and self.subject and self.sender):
            raise ValueError("transactional_message_id is needed, or body, subject and from")
        return self


class Broadcast(_Request):
    """Whom a broadcast goes to, and its data; its own settings name the recipients where this does not."""

    data: Properties | None = None
    recipients: Properties | None = None
    ids: list[str] | None = None
    emails: list[str] | None = None
    per_user_data: list[dict[str, Any]] | None = None
    data_file_url: str | None = None
    id_ignore_missing: bool | None = None
    email_ignore_missing: bool | None = None
    email_add_duplicates: bool | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.recipients, self.ids, self.emails, self.per_user_data, self.data_file_url)
        if sum(kind is not None for kind in kinds) > 1:
            raise ValueError("only one of recipients, ids, emails, per_user_data and data_file_url")
        return self


class AsyncAppClient(AsyncCaller):
    """Sends transactional email and triggers broadcasts. Settings are made by `Settings.of_app`."""

    def __init__(
        self,
        settings: Settings,
        *,
        rate: Rate | None = None,
        observe: Callable[[Attempt], None] | None = None,
    ) -> None:
        super().__init__(settings, rate, rejections=REJECTIONS | {404}, observe=observe)

    async def send_email(self, email: TransactionalEmail) -> str:
        """Send one email; the result is its delivery_id.

        Raises:
            AuthenticationError: The API does not take the key.
            DeliveryError: It was not sent, or, where `unknown` is set, may have been.
        """
        return await self._post("send/email", email.wire(), "delivery_id")

    async def trigger_broadcast(self, broadcast_id: int, broadcast: Broadcast | None = None) -> str:
        """Trigger a broadcast that is triggered by the API; the result is the trigger's id.

        Customer.io takes one trigger in ten seconds, and answers 429 to more, which is waited for.

        Raises:
            AuthenticationError: The API does not take the key.
            DeliveryError: It was not triggered, or, where `unknown` is set, may have been.
        """
        body = (broadcast or Broadcast()).wire()
        return await self._post(f"campaigns/{int(broadcast_id)}/triggers", body, "id")

    async def _post(self, path: str, body: Mapping[str, Any], result: str) -> str:
        answer = await self._calls.post(path, encode_value(body), 1, repeatable=False)
        if answer.refused_for is not None:
            raise DeliveryError(f"{path}: not sent: the server failed too often")
        if answer.status is None or answer.status >= 300:
            how = "no answer" if answer.status is None else f"answered {answer.status}"
            raise DeliveryError(
                f"{path}: {how}", status=answer.status, reason=answer.reason, unknown=answer.unknown
            )
        try:
            return str(orjson.loads(answer.content)[result])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise DeliveryError(
                f"{path}: the answer has no {result}", status=answer.status, unknown=True
            ) from None


class AppClient(Caller[AsyncAppClient]):
    """`AsyncAppClient` for code that is not async."""

    def __init__(
        self,
        settings: Settings,
        *,
        rate: Rate | None = None,
        observe: Callable[[Attempt], None] | None = None,
    ) -> None:
        super().__init__(AsyncAppClient(settings, rate=rate, observe=observe))

    def send_email(self, email: TransactionalEmail) -> str:
        """`AsyncAppClient.send_email`."""
        return self._loop.run(self._client.send_email(email))

    def trigger_broadcast(self, broadcast_id: int, broadcast: Broadcast | None = None) -> str:
        """`AsyncAppClient.trigger_broadcast`."""
        return self._loop.run(self._client.trigger_broadcast(broadcast_id, broadcast))
