"""The shop's 200 products, in order of popularity: names, categories, base prices, life spans."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ecommerce_lakehouse.domain.entities import CATEGORIES

PRODUCTS = 200
MEAN_BASE_PRICE = 60.0
MIN_PRICE = 0.5
POPULARITY_SHIFT = 2  # Zipf-Mandelbrot law: the top product gets 9 % of the orders

_STYLES = ("Compact", "Classic", "Premium", "Everyday", "Travel")
_GOODS = {
    "electronics": ("Headphones", "Speaker", "Charger", "Keyboard", "Camera"),
    "clothing": ("Jacket", "Shirt", "Trousers", "Scarf", "Shoes"),
    "home": ("Lamp", "Kettle", "Blanket", "Vase", "Mirror"),
    "books": ("Atlas", "Cookbook", "Novel", "Dictionary", "Biography"),
    "sports": ("Ball", "Racket", "Yoga Mat", "Helmet", "Backpack"),
    "beauty": ("Soap", "Perfume", "Hairbrush", "Lotion", "Lipstick"),
    "toys": ("Puzzle", "Blocks", "Doll", "Kite", "Board Game"),
    "groceries": ("Coffee", "Tea", "Olive Oil", "Chocolate", "Honey"),
}


@dataclass(frozen=True)
class Product:
    """A product; on sale from `first_day` to `last_day`, days since the first day of the data."""

    product_id: str
    name: str
    category: str
    base_price: float
    first_day: int
    last_day: int


def catalogue(seed: int, days: int) -> list[Product]:
    """All products, the most popular first.

    Base prices are the quantiles of an exponential distribution with MEAN_BASE_PRICE, in an order that
    spreads cheap and expensive products evenly over popularity. Of every ten products one is launched, and
    of every twenty one is discontinued, within `days`; the product before such a product is always on sale.
    """
    return [_product(rank, seed, days) for rank in range(PRODUCTS)]


def _product(rank: int, seed: int, days: int) -> Product:
    # 77 and 123 share no factor with 200, so both are permutations; 123 / 200 is near the golden ratio.
    number = (rank * 77 + seed) % PRODUCTS
    quantile = ((rank * 123 + seed) % PRODUCTS + 0.5) / PRODUCTS
    category = CATEGORIES[number % len(CATEGORIES)]
    variant = number // len(CATEGORIES)
    launched, discontinued = rank % 10 == 9, rank % 20 == 14
    return Product(
        product_id=f"P{number + 1:04d}",
        name=f"{_STYLES[variant // 5]} {_GOODS[category][variant % 5]}",
        category=category,
        base_price=round(max(MIN_PRICE, -MEAN_BASE_PRICE * math.log(1 - quantile)), 2),
        first_day=days * (rank // 10 + 1) // (PRODUCTS // 10 + 1) if launched else 0,
        last_day=days * (rank // 20 + 1) // (PRODUCTS // 20 + 1) if discontinued else 2**31 - 1,
    )
