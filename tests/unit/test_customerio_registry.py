"""The registry has every event of the API, spelled as the API does, and refuses what is not documented."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.builders import track
from ecommerce_lakehouse.activation.customerio.registry import EVENTS, event_named, events_of

# Customer.io's own list, copied name by name.
NAMES = {
    "customerio": """Device Created or Updated; Device Deleted; User Deleted; User Suppressed; User
    Unsuppressed;
        Relationship Deleted; Object Deleted; Report Delivery Event; Report Content Event""",
    "experiments": "Experiment Viewed",
    "ecommerce": """Products Searched; Product List Viewed; Product List Filtered; Product Clicked; Product
    Viewed;
        Product Added; Product Removed; Cart Viewed; Checkout Started; Checkout Step Viewed; Checkout Step
        Completed; Payment Info Entered; Order Completed; Order Updated; Order Refunded; Order Cancelled;
        Promotion Viewed; Promotion Clicked; Coupon Entered; Coupon Applied; Coupon Denied; Coupon Removed;
        Product Added to Wishlist; Product Removed from Wishlist; Wishlist Product Added to Cart; Product
        Shared; Cart Shared; Product Reviewed""",
    "email": """Email Bounced; Email Delivered; Email Opened; Email Link Clicked; Email Marked as Spam;
        Email Unsubscribed""",
    "live_chat": """Live Chat Conversation Started; Live Chat Conversation Ended; Live Chat Message Sent;
        Live Chat Message Received""",
    "mobile": """Application Installed; Application Opened; Application Backgrounded; Application
    Foregrounded;
        Application Updated; Application Uninstalled; Application Crashed""",
    "video": """Video Playback Started; Video Playback Paused; Video Playback interrupted;
        Video Playback Buffer Started; Video Playback Buffer Completed; Video Playback Seek Started;
        Video Playback Seek Completed; Video Playback Resumed; Video Playback Completed; Video Playback
        Exited; Video Content Started; Video Content Playing; Video Content Completed; Video Ad Started;
        Video Ad Playing; Video Ad Completed""",
}


@pytest.mark.parametrize("category", NAMES)
def test_the_names_are_those_of_the_documentation(category: Any) -> None:
    expected = {" ".join(name.split()) for name in NAMES[category].split(";")}
    assert {event.name for event in events_of(category)} == expected


def test_every_event_stands_there_once_under_a_constant_of_its_name() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS) == 71
    for event in EVENTS:
        assert getattr(registry, event.slug.upper()) is event
        assert event_named(event.name) is event


def test_every_field_says_what_it_holds_and_means() -> None:
    for event in EVENTS:
        for field in (*event.fields(), *event.context_fields()):
            assert field.meaning.endswith("."), (event.name, field)
            assert field.kind != "object" or field.name == "content", (event.name, field)


def test_the_fields_of_an_order_are_the_documented_ones() -> None:
    kinds = {field.name: field.kind for field in registry.ORDER_COMPLETED.fields()}
    assert kinds == {
        "order_id": "text",
        "affiliation": "text",
        "revenue": "number",
        "shipping": "number",
        "tax": "number",
        "discount": "number",
        "coupon": "text",
        "currency": "text",
        "products": "list of products",
        "total": "number",
        "subtotal": "number",
        "checkout_id": "text",
    }
    (token, kind) = registry.DEVICE_DELETED.context_fields()
    assert (token.name, token.required, kind.kind) == ("token", True, "one of ios, android")
    assert [f.name for f in registry.EMAIL_BOUNCED.fields() if f.required] == ["email_id"]


def test_an_event_is_built_with_its_name_and_its_properties() -> None:
    message = track(
        registry.ORDER_COMPLETED,
        {"order_id": "o-1", "total": Decimal("19.90"), "products": [{"sku": "A", "quantity": 2}]},
        user_id="42",
        message_id="m-1",
        extra={"channel": "web"},
    )
    assert message.wire() == {
        "messageId": "m-1",
        "type": "track",
        "userId": "42",
        "event": "Order Completed",
        "properties": {
            "order_id": "o-1",
            "total": Decimal("19.90"),
            "products": [{"sku": "A", "quantity": 2}],
            "channel": "web",
        },
    }


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"order": "1"}, "has no property 'order'"),
        ({"order_idd": "1"}, "did you mean 'order_id'"),
        ({"order_id": 1}, "order_id: Input should be a valid string"),
        ({"total": "19.90"}, "total"),
        ({"total": True}, "total"),
        ({"products": [{"quantity": 1.5}]}, "products.0.quantity"),
        ({"products": {"sku": "A"}}, "products: Input should be a valid list"),
    ],
)
def test_a_property_that_is_not_as_documented_is_refused(properties: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        track(registry.ORDER_COMPLETED, properties, user_id="42")


def test_own_properties_stand_apart_from_documented_ones() -> None:
    with pytest.raises(ValueError, match="tax stands in both"):
        track(registry.ORDER_COMPLETED, {"tax": 1}, user_id="42", extra={"tax": 2})


@pytest.mark.parametrize("kind", [2, "2"])
def test_an_objects_type_is_sent_as_text(kind: Any) -> None:
    left = track(registry.RELATIONSHIP_DELETED, {"objectId": "acme", "objectTypeId": kind}, user_id="42")
    assert left.properties == {"objectId": "acme", "objectTypeId": "2"}
    gone = track(registry.OBJECT_DELETED, {"objectId": "acme", "objectTypeId": kind})
    assert gone.properties == {"objectId": "acme", "objectTypeId": "2"}
    assert gone.anonymous_id == "not-used"


def test_a_required_property_is_missed() -> None:
    with pytest.raises(ValueError, match="objectId: Field required"):
        track(registry.OBJECT_DELETED)
    with pytest.raises(ValueError, match="email_id: Field required"):
        track(registry.EMAIL_OPENED, {"email_subject": "Hello"}, user_id="42")  # type: ignore[typeddict-item]
