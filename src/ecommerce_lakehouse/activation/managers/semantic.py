"""Managers of Customer.io's own events: a method each, typed by the event's properties.

This module is generated from the registry: `uv run python -m tools.generate_docs`.
"""

from __future__ import annotations

from typing import ClassVar

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.managers.base import ClientManager, sends


class EcommerceManager(ClientManager):
    """What a person does in the shop, from a search to a refund."""

    name: ClassVar[str] = "ecommerce"
    products_searched = sends(registry.PRODUCTS_SEARCHED)
    product_list_viewed = sends(registry.PRODUCT_LIST_VIEWED)
    product_list_filtered = sends(registry.PRODUCT_LIST_FILTERED)
    product_clicked = sends(registry.PRODUCT_CLICKED)
    product_viewed = sends(registry.PRODUCT_VIEWED)
    product_added = sends(registry.PRODUCT_ADDED)
    product_removed = sends(registry.PRODUCT_REMOVED)
    cart_viewed = sends(registry.CART_VIEWED)
    checkout_started = sends(registry.CHECKOUT_STARTED)
    checkout_step_viewed = sends(registry.CHECKOUT_STEP_VIEWED)
    checkout_step_completed = sends(registry.CHECKOUT_STEP_COMPLETED)
    payment_info_entered = sends(registry.PAYMENT_INFO_ENTERED)
    order_completed = sends(registry.ORDER_COMPLETED)
    order_updated = sends(registry.ORDER_UPDATED)
    order_refunded = sends(registry.ORDER_REFUNDED)
    order_cancelled = sends(registry.ORDER_CANCELLED)
    promotion_viewed = sends(registry.PROMOTION_VIEWED)
    promotion_clicked = sends(registry.PROMOTION_CLICKED)
    coupon_entered = sends(registry.COUPON_ENTERED)
    coupon_applied = sends(registry.COUPON_APPLIED)
    coupon_denied = sends(registry.COUPON_DENIED)
    coupon_removed = sends(registry.COUPON_REMOVED)
    product_added_to_wishlist = sends(registry.PRODUCT_ADDED_TO_WISHLIST)
    product_removed_from_wishlist = sends(registry.PRODUCT_REMOVED_FROM_WISHLIST)
    wishlist_product_added_to_cart = sends(registry.WISHLIST_PRODUCT_ADDED_TO_CART)
    product_shared = sends(registry.PRODUCT_SHARED)
    cart_shared = sends(registry.CART_SHARED)
    product_reviewed = sends(registry.PRODUCT_REVIEWED)


class EmailManager(ClientManager):
    """What became of emails that another program sent."""

    name: ClassVar[str] = "email"
    email_bounced = sends(registry.EMAIL_BOUNCED)
    email_delivered = sends(registry.EMAIL_DELIVERED)
    email_opened = sends(registry.EMAIL_OPENED)
    email_link_clicked = sends(registry.EMAIL_LINK_CLICKED)
    email_marked_as_spam = sends(registry.EMAIL_MARKED_AS_SPAM)
    email_unsubscribed = sends(registry.EMAIL_UNSUBSCRIBED)


class LiveChatManager(ClientManager):
    """Conversations in a live chat."""

    name: ClassVar[str] = "live_chat"
    live_chat_conversation_started = sends(registry.LIVE_CHAT_CONVERSATION_STARTED)
    live_chat_conversation_ended = sends(registry.LIVE_CHAT_CONVERSATION_ENDED)
    live_chat_message_sent = sends(registry.LIVE_CHAT_MESSAGE_SENT)
    live_chat_message_received = sends(registry.LIVE_CHAT_MESSAGE_RECEIVED)


class MobileManager(ClientManager):
    """The life of an app on a person's phone."""

    name: ClassVar[str] = "mobile"
    application_installed = sends(registry.APPLICATION_INSTALLED)
    application_opened = sends(registry.APPLICATION_OPENED)
    application_backgrounded = sends(registry.APPLICATION_BACKGROUNDED)
    application_foregrounded = sends(registry.APPLICATION_FOREGROUNDED)
    application_updated = sends(registry.APPLICATION_UPDATED)
    application_uninstalled = sends(registry.APPLICATION_UNINSTALLED)
    application_crashed = sends(registry.APPLICATION_CRASHED)


class VideoManager(ClientManager):
    """A video's playback, its content and its ads."""

    name: ClassVar[str] = "video"
    video_playback_started = sends(registry.VIDEO_PLAYBACK_STARTED)
    video_playback_paused = sends(registry.VIDEO_PLAYBACK_PAUSED)
    video_playback_interrupted = sends(registry.VIDEO_PLAYBACK_INTERRUPTED)
    video_playback_buffer_started = sends(registry.VIDEO_PLAYBACK_BUFFER_STARTED)
    video_playback_buffer_completed = sends(registry.VIDEO_PLAYBACK_BUFFER_COMPLETED)
    video_playback_seek_started = sends(registry.VIDEO_PLAYBACK_SEEK_STARTED)
    video_playback_seek_completed = sends(registry.VIDEO_PLAYBACK_SEEK_COMPLETED)
    video_playback_resumed = sends(registry.VIDEO_PLAYBACK_RESUMED)
    video_playback_completed = sends(registry.VIDEO_PLAYBACK_COMPLETED)
    video_playback_exited = sends(registry.VIDEO_PLAYBACK_EXITED)
    video_content_started = sends(registry.VIDEO_CONTENT_STARTED)
    video_content_playing = sends(registry.VIDEO_CONTENT_PLAYING)
    video_content_completed = sends(registry.VIDEO_CONTENT_COMPLETED)
    video_ad_started = sends(registry.VIDEO_AD_STARTED)
    video_ad_playing = sends(registry.VIDEO_AD_PLAYING)
    video_ad_completed = sends(registry.VIDEO_AD_COMPLETED)
