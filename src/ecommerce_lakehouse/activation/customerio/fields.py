"""The properties that Customer.io documents for each kind of event.

Each class is the `properties` of one event or of several; a field's second part says what it holds. All are
optional, as they are in the API, unless marked `Required`. `registry` says which event has which.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Required

from typing_extensions import TypedDict

# Most names stand in `registry` for one event only; those that follow are shared.
Number = float | int | Decimal
Moment = date | datetime | str
AdType = Literal["pre-roll", "mid-roll", "post-roll"]


class NoProperties(TypedDict, total=False):
    """No property is documented."""


class DeletedObject(TypedDict, total=False):
    objectId: Required[Annotated[str, "The object, such as a company, to delete."]]
    objectTypeId: Annotated[int | str, "The object's type, sent as text; Customer.io assumes 1."]


class DeletedRelationship(TypedDict, total=False):
    objectId: Required[Annotated[str, "The object that the person leaves."]]
    objectTypeId: Annotated[int | str, "The object's type, sent as text; Customer.io assumes 1."]


class DeliveryReport(TypedDict, total=False):
    deliveryId: Annotated[str, "The delivery of the message."]
    metric: Annotated[Literal["delivered", "clicked", "converted", "opened"], "What happened to the message."]
    recipient: Annotated[str, "The device, phone number or push token that received it."]
    reason: Annotated[str, "Why the message failed, if it did."]
    actionValue: Annotated[str, "The value of the action clicked in an in-app message."]
    href: Annotated[str, "The link clicked in an in-app message."]


class ContentReport(TypedDict, total=False):
    actionType: Annotated[Literal["viewed_content", "clicked_content"], "What the person did."]
    contentId: Annotated[int, "The anonymous in-app message."]
    templateId: Annotated[int, "The message inside that content."]


class Experiment(TypedDict, total=False):
    experiment_id: Annotated[str, "The A/B test."]
    experiment_name: Annotated[str, "The test's name, for people."]
    variation_id: Annotated[str, "The variant that was shown."]
    variation_name: Annotated[str, "The variant's name, for people."]


class Product(TypedDict, total=False):
    """One product, in a list or as an event's properties."""

    product_id: Annotated[str, "The product in your catalog."]
    sku: Annotated[str, "The stock keeping unit."]
    category: Annotated[str, "The product's category."]
    name: Annotated[str, "The product's name."]
    brand: Annotated[str, "The product's brand."]
    variant: Annotated[str, "The variant, such as a color."]
    price: Annotated[Number, "The price of one."]
    quantity: Annotated[int, "How many."]
    coupon: Annotated[str, "The coupon for this product."]
    position: Annotated[Number, "The place in a list."]
    url: Annotated[str, "The product's page."]
    image_url: Annotated[str, "The product's picture."]


class PricedProduct(Product, total=False):
    currency: Annotated[str, "The currency, as ISO 4217 writes it."]
    value: Annotated[Number, "What the product is worth to you."]


class CartProduct(Product, total=False):
    cart_id: Annotated[str, "The cart."]


class WishlistProduct(Product, total=False):
    wishlist_id: Annotated[str, "The wish list."]
    wishlist_name: Annotated[str, "The wish list's name."]


class WishlistCartProduct(WishlistProduct, total=False):
    cart_id: Annotated[str, "The cart."]


class SharedProduct(TypedDict, total=False):
    share_via: Annotated[str, "The way of sharing, such as email."]
    share_message: Annotated[str, "What the person wrote."]
    recipient: Annotated[str, "Who received it."]
    product_id: Annotated[str, "The product in your catalog."]
    sku: Annotated[str, "The stock keeping unit."]
    category: Annotated[str, "The product's category."]
    name: Annotated[str, "The product's name."]
    brand: Annotated[str, "The product's brand."]
    variant: Annotated[str, "The variant, such as a color."]
    price: Annotated[Number, "The price of one."]
    url: Annotated[str, "The product's page."]
    image_url: Annotated[str, "The product's picture."]


class SharedCart(TypedDict, total=False):
    share_via: Annotated[str, "The way of sharing, such as email."]
    share_message: Annotated[str, "What the person wrote."]
    recipient: Annotated[str, "Who received it."]
    cart_id: Annotated[str, "The cart."]
    products: Annotated[list[Product], "The products, by their product_id."]


class Search(TypedDict, total=False):
    query: Annotated[str, "What the person searched for."]


class ProductList(TypedDict, total=False):
    list_id: Annotated[str, "The list."]
    category: Annotated[str, "The list's category."]
    products: Annotated[list[Product], "The products that were shown."]


class Choice(TypedDict, total=False):
    type: Annotated[str, "What was filtered or sorted by."]
    value: Annotated[str, "The value that was chosen."]


class FilteredProductList(ProductList, total=False):
    filters: Annotated[list[Choice], "The filters that the person set."]
    sorts: Annotated[list[Choice], "The orders that the person chose."]


class Promotion(TypedDict, total=False):
    promotion_id: Annotated[str, "The promotion."]
    creative: Annotated[str, "The creative that was shown."]
    name: Annotated[str, "The promotion's name."]
    position: Annotated[str, "Where it was shown."]


class Cart(TypedDict, total=False):
    cart_id: Annotated[str, "The cart."]
    products: Annotated[list[Product], "The products in the cart."]


class CheckoutStep(TypedDict, total=False):
    checkout_id: Annotated[str, "The checkout."]
    step: Annotated[int, "The number of the step."]
    shipping_method: Annotated[str, "How it is to be shipped."]
    payment_method: Annotated[str, "How it is to be paid."]


class PaymentInfo(CheckoutStep, total=False):
    order_id: Annotated[str, "The order."]


class Order(TypedDict, total=False):
    """What all events of an order share."""

    order_id: Annotated[str, "The order."]
    affiliation: Annotated[str, "The shop or partner that sold it."]
    revenue: Annotated[Number, "Without shipping and tax."]
    shipping: Annotated[Number, "The cost of shipping."]
    tax: Annotated[Number, "All taxes."]
    discount: Annotated[Number, "All discounts."]
    coupon: Annotated[str, "The coupon for the order."]
    currency: Annotated[str, "The currency, as ISO 4217 writes it."]
    products: Annotated[list[Product], "The products in the order."]


class Checkout(Order, total=False):
    value: Annotated[Number, "What the order is worth to you."]


class CancelledOrder(Order, total=False):
    total: Annotated[Number, "With shipping, tax and discounts."]


class CompletedOrder(CancelledOrder, total=False):
    subtotal: Annotated[Number, "With discounts, without shipping and tax."]
    checkout_id: Annotated[str, "The checkout."]


class Coupon(TypedDict, total=False):
    order_id: Annotated[str, "The order."]
    cart_id: Annotated[str, "The cart."]
    coupon_id: Annotated[str, "The coupon."]


class NamedCoupon(Coupon, total=False):
    coupon_name: Annotated[str, "The coupon's name."]


class AppliedCoupon(NamedCoupon, total=False):
    discount: Annotated[Number, "What it takes off."]


class DeniedCoupon(NamedCoupon, total=False):
    reason: Annotated[str, "Why it was denied."]


class Review(TypedDict, total=False):
    product_id: Annotated[str, "The product in your catalog."]
    review_id: Annotated[str, "The review."]
    review_body: Annotated[str, "What the person wrote."]
    rating: Annotated[int, "The number of stars."]


class Email(TypedDict, total=False):
    email_id: Required[Annotated[str, "The email."]]
    email_subject: Annotated[str, "Its subject."]
    campaign_id: Annotated[str, "The campaign that it belongs to."]
    campaign_name: Annotated[str, "The campaign's name."]


class EmailLink(Email, total=False):
    link_id: Annotated[str, "The link."]
    link_url: Annotated[str, "Where the link leads."]


class EmailList(Email, total=False):
    list_id: Annotated[str, "The mailing list."]
    list_name: Annotated[str, "The mailing list's name."]


class LiveChat(TypedDict, total=False):
    agent_id: Annotated[str, "The agent."]
    agent_name: Annotated[str, "The agent's name."]
    agent_username: Annotated[str, "The agent's user name."]
    conversation_id: Annotated[str, "The conversation."]
    conversation_duration: Annotated[int, "How long it lasted, in seconds."]
    message_id: Annotated[str, "The message."]


class AppVersion(TypedDict, total=False):
    version: Annotated[str, "The app's version."]
    build: Annotated[str, "The app's build."]


class OpenedApp(AppVersion, total=False):
    from_background: Annotated[bool, "Whether it ran in the background before."]
    url: Annotated[str, "The link that opened it."]


class UpdatedApp(AppVersion, total=False):
    previous_version: Annotated[str, "The version before."]
    previous_build: Annotated[str, "The build before."]


class Playback(TypedDict, total=False):
    """What the events of a video's playback share."""

    session_id: Annotated[str, "The playback's session."]
    ad_asset_id: Annotated[str, "The ad that plays."]
    ad_pod_id: Annotated[str, "The group of ads."]
    ad_type: Annotated[AdType, "Where the ad stands."]
    position: Annotated[int, "Seconds from the start."]
    total_length: Annotated[int, "The video's length in seconds."]
    bitrate: Annotated[int, "Kilobits per second."]
    framerate: Annotated[int, "Frames per second."]
    video_player: Annotated[str, "The player's name."]
    sound: Annotated[int, "The volume in percent."]
    full_screen: Annotated[bool, "Whether it fills the screen."]
    ad_enabled: Annotated[bool, "Whether ads may be shown."]
    quality: Annotated[str, "The quality, such as hd1080."]
    livestream: Annotated[bool, "Whether it is live."]


class StartedPlayback(Playback, total=False):
    content_asset_ids: Annotated[list[str], "The assets that will play."]
    content_pod_ids: Annotated[list[str], "The groups that will play."]


class CurrentPlayback(Playback, total=False):
    content_asset_id: Annotated[str, "The asset that plays."]
    content_pod_id: Annotated[str, "The group that plays."]


class InterruptedPlayback(CurrentPlayback, total=False):
    method: Annotated[str, "What interrupted it, such as a call."]


class VideoContent(TypedDict, total=False):
    session_id: Annotated[str, "The playback's session."]
    asset_id: Annotated[str, "The asset."]
    pod_id: Annotated[str, "The group that it belongs to."]
    program: Annotated[str, "The program."]
    title: Annotated[str, "The title."]
    description: Annotated[str, "A short description."]
    season: Annotated[str, "The season."]
    position: Annotated[int, "Seconds from the start."]
    total_length: Annotated[int, "The length in seconds."]
    genre: Annotated[str, "The genre."]
    publisher: Annotated[str, "The publisher."]
    channel: Annotated[str, "The channel."]
    full_episode: Annotated[bool, "Whether it is a whole episode."]
    livestream: Annotated[bool, "Whether it is live."]
    airdate: Annotated[Moment, "When it was first shown."]
    bitrate: Annotated[int, "Kilobits per second."]
    framerate: Annotated[int, "Frames per second."]
    keywords: Annotated[list[str], "Words that describe it."]


class VideoAd(TypedDict, total=False):
    session_id: Annotated[str, "The playback's session."]
    asset_id: Annotated[str, "The ad."]
    pod_id: Annotated[str, "The group of ads."]
    pod_position: Annotated[int, "The ad's place in the group."]
    pod_length: Annotated[int, "How many ads the group has."]
    type: Annotated[AdType, "Where the ad stands."]
    title: Annotated[str, "The ad's title."]
    position: Annotated[int, "Seconds from the start."]
    total_length: Annotated[int, "The ad's length in seconds."]
    publisher: Annotated[str, "The publisher."]
    load_type: Annotated[Literal["dynamic", "linear"], "How it was loaded."]
    content: Annotated[dict[str, Any], "The video that it interrupts."]
    quartile: Annotated[int, "The quarter that was reached, 1 to 3."]


class Device(TypedDict, total=False):
    """What stands in `context.device`."""

    token: Required[Annotated[str, "The device's push token."]]
    type: Annotated[Literal["ios", "android"], "The device's system."]


class EmailRecipient(TypedDict, total=False):
    """What stands in `context.traits` of an event about an email."""

    email: Annotated[str, "The address that it was sent to."]
    ip: Annotated[str, "The address of the person's machine."]
    user_agent: Annotated[str, "The person's mail program."]
