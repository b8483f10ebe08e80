"""Every event name that Customer.io knows, spelled as it spells it, with its documented fields.

One table, `EVENTS`. Builders, managers and reference sections are made from it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from typing_extensions import is_typeddict

from ecommerce_lakehouse.activation.customerio import fields as f

Category = Literal["customerio", "experiments", "ecommerce", "email", "live_chat", "mobile", "video"]
Properties = TypeVar("Properties", bound=Mapping[str, object])
_TEXTS = {str: "text", int: "integer", float: "number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Field:
    """One documented field: its name, what it holds in words, whether it must be there, and what it means."""

    name: str
    kind: str
    required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Event(Generic[Properties]):
    """One event name and what Customer.io documents for it.

    `user` says that only a userId can identify who it is about. `context` names the part of the message's
    context that the event has fields in, and their class.
    """

    name: str
    category: Category
    properties: type[Properties]
    meaning: str
    user: bool = False
    context: tuple[str, type[Mapping[str, object]]] | None = None

    @property
    def slug(self) -> str:
        """The name as an identifier: `order_completed`."""
        return re.sub(r"\W+", "_", self.name).lower()

    def fields(self) -> tuple[Field, ...]:
        """The documented properties, in the order of the documentation."""
        return _fields(self.properties)

    def context_fields(self) -> tuple[Field, ...]:
        """The documented fields of that part of the context, empty where the event has none."""
        return _fields(self.context[1]) if self.context else ()

    def checked(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """The properties as they are sent: names and kinds as documented, an object's type as text.

        Raises:
            ValueError: A name is not documented, a value has another kind, or a required one is missing.
        """
        known = get_type_hints(self.properties)
        for name in properties:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"{self.name} has no property {name!r}{hint}")
        check_fields(self.properties, properties, self.name)
        return {name: str(value) if name == "objectTypeId" else value for name, value in properties.items()}


def event_named(name: str) -> Event[Any] | None:
    """The registered event of exactly this name; None for an event of your own."""
    return _BY_NAME.get(name)


def events_of(category: Category) -> tuple[Event[Any], ...]:
    """The events of one category, in the order of the documentation."""
    return tuple(event for event in EVENTS if event.category == category)


def check_fields(shape: type[Mapping[str, object]], values: Mapping[str, Any], what: str) -> None:
    """Raise ValueError where a value has another kind than documented, or a required field is missing."""
    from pydantic import ValidationError

    try:
        _adapter(shape).validate_python(dict(values), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("function-", "is-")))
        raise ValueError(f"{what}: {place}: {first['msg']}") from None


@cache
def _adapter(shape: type[Mapping[str, object]]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


@cache
def _fields(shape: type[Mapping[str, object]]) -> tuple[Field, ...]:
    found = []
    for name, hint in get_type_hints(shape, include_extras=True).items():
        required = get_origin(hint) is Required
        kind, meaning = get_args(get_args(hint)[0] if required else hint)
        found.append(Field(name, _kind(kind), required, meaning))
    return tuple(found)


def _kind(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _kind(parts[0])
    if origin is Literal:
        return "one of " + ", ".join(parts)
    if origin is list:
        return f"list of {parts[0].__name__.lower()}s" if is_typeddict(parts[0]) else "list of texts"
    if origin in (Union, UnionType):
        if hint == f.Number:
            return "number"
        return "date or timestamp" if hint == f.Moment else "integer or text"
    return _TEXTS.get(hint, "object")


_TABLE: list[Event[Any]] = []


def _event(
    name: str,
    category: Category,
    properties: type[Properties],
    meaning: str,
    *,
    user: bool = False,
    context: tuple[str, type[Mapping[str, object]]] | None = None,
) -> Event[Properties]:
    event = Event(name, category, properties, meaning, user, context)
    _TABLE.append(event)
    return event


_DEVICE: tuple[str, type[Mapping[str, object]]] = ("device", f.Device)
_RECIPIENT: tuple[str, type[Mapping[str, object]]] = ("traits", f.EmailRecipient)

# What Customer.io itself acts on.
DEVICE_CREATED_OR_UPDATED = _event(
    "Device Created or Updated",
    "customerio",
    f.NoProperties,
    "Adds a person's device, or updates it.",
    user=True,
    context=_DEVICE,
)
DEVICE_DELETED = _event(
    "Device Deleted", "customerio", f.NoProperties, "Removes a device.", user=True, context=_DEVICE
)
USER_DELETED = _event("User Deleted", "customerio", f.NoProperties, "Deletes a person.", user=True)
USER_SUPPRESSED = _event(
    "User Suppressed",
    "customerio",
    f.NoProperties,
    "Deletes a person and refuses the same identifier from then on.",
    user=True,
)
USER_UNSUPPRESSED = _event(
    "User Unsuppressed",
    "customerio",
    f.NoProperties,
    "Lets a suppressed identifier be added again; the person's data does not come back.",
    user=True,
)
RELATIONSHIP_DELETED = _event(
    "Relationship Deleted",
    "customerio",
    f.DeletedRelationship,
    "Ends a person's relationship to an object.",
    user=True,
)
OBJECT_DELETED = _event(
    "Object Deleted",
    "customerio",
    f.DeletedObject,
    "Deletes an object, such as a company; who performs it does not matter.",
)
REPORT_DELIVERY_EVENT = _event(
    "Report Delivery Event", "customerio", f.DeliveryReport, "Reports what happened to a message."
)
REPORT_CONTENT_EVENT = _event(
    "Report Content Event",
    "customerio",
    f.ContentReport,
    "Reports a view of an anonymous in-app message, or a click on it.",
)

EXPERIMENT_VIEWED = _event(
    "Experiment Viewed", "experiments", f.Experiment, "A person saw a variant of an A/B test."
)

PRODUCTS_SEARCHED = _event("Products Searched", "ecommerce", f.Search, "A person searched for products.")
PRODUCT_LIST_VIEWED = _event(
    "Product List Viewed", "ecommerce", f.ProductList, "A person saw a list of products."
)
PRODUCT_LIST_FILTERED = _event(
    "Product List Filtered", "ecommerce", f.FilteredProductList, "A person filtered a list of products."
)
PRODUCT_CLICKED = _event("Product Clicked", "ecommerce", f.PricedProduct, "A person clicked a product.")
PRODUCT_VIEWED = _event("Product Viewed", "ecommerce", f.PricedProduct, "A person saw a product.")
PRODUCT_ADDED = _event("Product Added", "ecommerce", f.CartProduct, "A product went into a cart.")
PRODUCT_REMOVED = _event("Product Removed", "ecommerce", f.CartProduct, "A product left a cart.")
CART_VIEWED = _event("Cart Viewed", "ecommerce", f.Cart, "A person saw the cart.")
CHECKOUT_STARTED = _event("Checkout Started", "ecommerce", f.Checkout, "A person began to check out.")
CHECKOUT_STEP_VIEWED = _event(
    "Checkout Step Viewed", "ecommerce", f.CheckoutStep, "A person saw a step of the checkout."
)
CHECKOUT_STEP_COMPLETED = _event(
    "Checkout Step Completed", "ecommerce", f.CheckoutStep, "A person completed a step of the checkout."
)
PAYMENT_INFO_ENTERED = _event(
    "Payment Info Entered", "ecommerce", f.PaymentInfo, "A person entered how to pay."
)
ORDER_COMPLETED = _event("Order Completed", "ecommerce", f.CompletedOrder, "An order was placed.")
ORDER_UPDATED = _event("Order Updated", "ecommerce", f.Order, "An order changed.")
ORDER_REFUNDED = _event("Order Refunded", "ecommerce", f.CompletedOrder, "An order was refunded.")
ORDER_CANCELLED = _event("Order Cancelled", "ecommerce", f.CancelledOrder, "An order was cancelled.")
PROMOTION_VIEWED = _event("Promotion Viewed", "ecommerce", f.Promotion, "A person saw a promotion.")
PROMOTION_CLICKED = _event("Promotion Clicked", "ecommerce", f.Promotion, "A person clicked a promotion.")
COUPON_ENTERED = _event("Coupon Entered", "ecommerce", f.Coupon, "A person entered a coupon.")
COUPON_APPLIED = _event("Coupon Applied", "ecommerce", f.AppliedCoupon, "A coupon was applied.")
COUPON_DENIED = _event("Coupon Denied", "ecommerce", f.DeniedCoupon, "A coupon was denied.")
COUPON_REMOVED = _event("Coupon Removed", "ecommerce", f.AppliedCoupon, "A coupon was removed.")
PRODUCT_ADDED_TO_WISHLIST = _event(
    "Product Added to Wishlist", "ecommerce", f.WishlistProduct, "A product went onto a wish list."
)
PRODUCT_REMOVED_FROM_WISHLIST = _event(
    "Product Removed from Wishlist", "ecommerce", f.WishlistProduct, "A product left a wish list."
)
WISHLIST_PRODUCT_ADDED_TO_CART = _event(
    "Wishlist Product Added to Cart",
    "ecommerce",
    f.WishlistCartProduct,
    "A product went from a wish list into a cart.",
)
PRODUCT_SHARED = _event("Product Shared", "ecommerce", f.SharedProduct, "A person shared a product.")
CART_SHARED = _event("Cart Shared", "ecommerce", f.SharedCart, "A person shared a cart.")
PRODUCT_REVIEWED = _event("Product Reviewed", "ecommerce", f.Review, "A person reviewed a product.")

EMAIL_BOUNCED = _event("Email Bounced", "email", f.Email, "An email bounced.", context=_RECIPIENT)
EMAIL_DELIVERED = _event("Email Delivered", "email", f.Email, "An email was delivered.", context=_RECIPIENT)
EMAIL_OPENED = _event("Email Opened", "email", f.Email, "A person opened an email.", context=_RECIPIENT)
EMAIL_LINK_CLICKED = _event(
    "Email Link Clicked", "email", f.EmailLink, "A person clicked a link in an email.", context=_RECIPIENT
)
EMAIL_MARKED_AS_SPAM = _event(
    "Email Marked as Spam", "email", f.Email, "A person marked an email as spam.", context=_RECIPIENT
)
EMAIL_UNSUBSCRIBED = _event(
    "Email Unsubscribed", "email", f.EmailList, "A person unsubscribed.", context=_RECIPIENT
)

LIVE_CHAT_CONVERSATION_STARTED = _event(
    "Live Chat Conversation Started", "live_chat", f.LiveChat, "A conversation began."
)
LIVE_CHAT_CONVERSATION_ENDED = _event(
    "Live Chat Conversation Ended", "live_chat", f.LiveChat, "A conversation ended."
)
LIVE_CHAT_MESSAGE_SENT = _event(
    "Live Chat Message Sent", "live_chat", f.LiveChat, "The person wrote a message."
)
LIVE_CHAT_MESSAGE_RECEIVED = _event(
    "Live Chat Message Received", "live_chat", f.LiveChat, "The person got a message."
)

APPLICATION_INSTALLED = _event(
    "Application Installed", "mobile", f.AppVersion, "The app was opened for the first time."
)
APPLICATION_OPENED = _event("Application Opened", "mobile", f.OpenedApp, "The app was opened.")
APPLICATION_BACKGROUNDED = _event(
    "Application Backgrounded", "mobile", f.NoProperties, "The app went to the background."
)
APPLICATION_FOREGROUNDED = _event(
    "Application Foregrounded", "mobile", f.NoProperties, "The app came to the foreground."
)
APPLICATION_UPDATED = _event("Application Updated", "mobile", f.UpdatedApp, "The app was updated.")
APPLICATION_UNINSTALLED = _event(
    "Application Uninstalled", "mobile", f.NoProperties, "The app was uninstalled."
)
APPLICATION_CRASHED = _event("Application Crashed", "mobile", f.NoProperties, "The app crashed.")

VIDEO_PLAYBACK_STARTED = _event(
    "Video Playback Started", "video", f.StartedPlayback, "A person pressed play."
)
VIDEO_PLAYBACK_PAUSED = _event(
    "Video Playback Paused", "video", f.CurrentPlayback, "A person paused a video."
)
# Customer.io writes "interrupted" in lower case.
VIDEO_PLAYBACK_INTERRUPTED = _event(
    "Video Playback interrupted", "video", f.InterruptedPlayback, "A video stopped by itself."
)
VIDEO_PLAYBACK_BUFFER_STARTED = _event(
    "Video Playback Buffer Started", "video", f.CurrentPlayback, "A video began to buffer."
)
VIDEO_PLAYBACK_BUFFER_COMPLETED = _event(
    "Video Playback Buffer Completed", "video", f.CurrentPlayback, "A video has buffered."
)
VIDEO_PLAYBACK_SEEK_STARTED = _event(
    "Video Playback Seek Started", "video", f.CurrentPlayback, "A person began to seek."
)
VIDEO_PLAYBACK_SEEK_COMPLETED = _event(
    "Video Playback Seek Completed", "video", f.CurrentPlayback, "A person has found the place."
)
VIDEO_PLAYBACK_RESUMED = _event("Video Playback Resumed", "video", f.CurrentPlayback, "A video went on.")
VIDEO_PLAYBACK_COMPLETED = _event(
    "Video Playback Completed", "video", f.CurrentPlayback, "All of a playback is over."
)
VIDEO_PLAYBACK_EXITED = _event("Video Playback Exited", "video", f.CurrentPlayback, "A person left a video.")
VIDEO_CONTENT_STARTED = _event(
    "Video Content Started", "video", f.VideoContent, "A part of a playback's content began."
)
VIDEO_CONTENT_PLAYING = _event(
    "Video Content Playing", "video", f.VideoContent, "Content plays; sent every few seconds."
)
VIDEO_CONTENT_COMPLETED = _event("Video Content Completed", "video", f.VideoContent, "Content is over.")
VIDEO_AD_STARTED = _event("Video Ad Started", "video", f.VideoAd, "An ad began.")
VIDEO_AD_PLAYING = _event("Video Ad Playing", "video", f.VideoAd, "An ad plays; sent every few seconds.")
VIDEO_AD_COMPLETED = _event("Video Ad Completed", "video", f.VideoAd, "An ad is over.")

EVENTS = tuple(_TABLE)
_BY_NAME = {event.name: event for event in EVENTS}
