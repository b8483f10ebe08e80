"""Teams that own datasets, to ask when a rule is broken."""

from __future__ import annotations

PLATFORM = "data platform"
SALES = "sales analytics"
CRM = "customer relations"
WEB = "web analytics"
MARKETING = "marketing"
PRODUCTS = "product management"
MACHINE_LEARNING = "machine learning"
