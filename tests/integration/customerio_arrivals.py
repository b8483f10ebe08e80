"""What each notebook of Customer.io sends on an empty lakehouse, in order: event or type, and about whom.

Written from the notebooks' texts, not from their output.
"""

from __future__ import annotations


def _lines(text: str) -> list[str]:
    """A line `what: a, b` stands for `what: a` and `what: b`."""
    found = []
    for line in text.strip().splitlines():
        what, _, people = line.strip().partition(": ")
        found += [f"{what}: {person}" for person in people.split(", ")]
    return found


EXPECTED: dict[str, list[str]] = {
    "00_setup_and_configuration": _lines(
        """
        identify: example-setup, example-ann
        """
    ),
    "01_authentication_and_utilities": _lines(
        """
        identify: example-bob, example-bob
        identify: example-1, example-2, example-3
        identify: example-4, example-5
        """
    ),
    "02_people_management": _lines(
        """
        identify: example-ann, example-ann, example-visitor-7, example-cleo, example-cleo-old
        alias: example-cleo
        identify: example-101, example-102, example-103
        identify: example-101, example-104
        User Deleted: example-cleo
        """
    ),
    "03_events_and_tracking": _lines(
        """
        Quiz Finished: example-ann
        Quiz Started: example-visitor-9
        page: example-visitor-9
        screen: example-ann
        Quiz Finished: example-ann
        Session Ended: example-101, example-102
        Session Ended: example-101, example-103
        """
    ),
    "04_objects_and_relationships": _lines(
        """
        group: example-h1, example-ann, example-bob
        Relationship Deleted: example-bob
        group: example-h2
        Object Deleted: not-used
        group: example-101, example-102
        group: example-104
        a message: -, -
        """
    ),
    "05_device_management": _lines(
        """
        Device Created or Updated: example-ann, example-ann
        Device Deleted: example-ann
        Device Created or Updated: example-101, example-102, example-102
        Device Created or Updated: example-103
        """
    ),
    "06_advanced_tracking": _lines(
        """
        Email Delivered: example-ann
        Email Link Clicked: example-ann
        Application Updated: example-ann
        Live Chat Conversation Started: example-ann
        Video Playback Started: example-ann
        Video Playback interrupted: example-ann
        Experiment Viewed: example-visitor-9
        Application Opened: example-ann
        Application Installed: example-ann
        Video Content Playing: example-101, example-101
        Video Content Playing: example-101
        """
    ),
    "07_ecommerce_events": _lines(
        """
        Products Searched: example-visitor-9
        Product List Viewed: example-visitor-9
        Product Viewed: example-visitor-9
        Product Added: example-ann, example-ann
        Product Removed: example-ann
        Cart Viewed: example-ann
        Coupon Applied: example-ann
        Checkout Started: example-ann
        Payment Info Entered: example-ann
        Order Completed: example-ann
        Order Updated: example-ann
        Order Refunded: example-ann
        Order Completed: example-101, example-102
        Order Refunded: example-102
        Order Completed: example-103
        Order Cancelled: example-103
        """
    ),
    "08_suppression_and_gdpr": _lines(
        """
        identify: example-dora
        User Suppressed: example-dora
        User Deleted: example-dora
        User Unsuppressed: example-dora
        identify: example-dora
        User Suppressed: example-201, example-202, example-203
        User Deleted: example-201, example-202, example-203
        User Suppressed: example-204, example-205
        User Deleted: example-setup, example-ann, example-bob, example-cleo, example-dora
        User Deleted: example-1, example-2, example-3, example-4, example-5
        User Deleted: example-101, example-102, example-103, example-104
        """
    ),
    "09_batch_operations": [
        # The scores 2 without places 3 and 5, then 3, 4 and 5.
        *_lines("identify: example-b0, example-b1, example-b2, example-b4, example-b6, example-b7"),
        *[f"identify: example-b{number}" for number in range(20)],
        *[f"identify: example-b{number}" for number in range(2_000)],
        *[f"identify: example-b{number}" for number in range(3)],
    ],
    "10_data_pipelines_integration": _lines(
        """
        identify: example-301, example-302, example-303
        identify: example-301, example-302, example-304
        identify: example-306
        User Deleted: example-301, example-302, example-303, example-304, example-306
        """
    ),
    "11_monitoring_and_observability": _lines(
        """
        identify: example-ann
        Product Viewed: example-ann
        identify: example-1, example-2, example-3
        """
    ),
    "12_production_deployment": _lines(
        """
        identify: example-deploy
        identify: example-101
        identify: example-102, example-103
        identify: example-104
        """
    ),
}
