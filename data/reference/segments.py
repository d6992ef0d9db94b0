"""The trades merchants are in: prices, customers, hours, refunds, risk. All figures are invented."""

from typing import NamedTuple


class Segment(NamedTuple):
    """One trade.

    `mccs` are ISO 18245 merchant category codes. `merchants` and `demand` are relative numbers of merchants
    and of payments. `online` is the share of its merchants that sell online. Amounts are log-normal in euros:
    `median_eur`, `spread` (sigma). `male_lean` shifts demand between the sexes (-1..1). `refunds` is the
    share of sales refunded; `risk` is added to the log-odds of the fraud score. `day_fit` is how well six
    four-hour parts of the local day, from midnight, suit it (0..1). `nouns` end its merchants' names.
    """

    name: str
    mccs: tuple[str, ...]
    merchants: float
    demand: float
    online: float
    median_eur: float
    spread: float
    male_lean: float
    refunds: float
    risk: float
    day_fit: tuple[float, float, float, float, float, float]
    nouns: tuple[str, ...]


_DAYTIME = (0.1, 0.3, 0.9, 1.0, 0.9, 0.3)
_ANYTIME = (0.6, 0.5, 0.8, 0.8, 0.9, 1.0)
_EVENING = (0.7, 0.2, 0.4, 0.6, 0.9, 1.0)
_COMMUTING = (0.3, 1.0, 0.8, 0.7, 1.0, 0.5)
_MORNING = (0.1, 1.0, 1.0, 0.8, 0.5, 0.2)

SEGMENTS = (
    Segment("grocery", ("5411", "5499", "5462"),
            merchants=2.2, demand=3.0, online=0.03, median_eur=24, spread=0.8, male_lean=0.0, refunds=0.004,
            risk=-0.5, day_fit=_DAYTIME, nouns=("Market", "Foods", "Pantry", "Grocers", "Larder")),
    Segment("transit", ("4111", "4121", "4131"),
            merchants=0.9, demand=1.6, online=0.0, median_eur=3.2, spread=0.5, male_lean=0.0, refunds=0.002,
            risk=-0.5, day_fit=_COMMUTING, nouns=("Transit", "Metro", "Lines", "Cabs")),
    Segment("coffee", ("5814",),
            merchants=1.8, demand=1.6, online=0.0, median_eur=4.8, spread=0.35, male_lean=0.0, refunds=0.001,
            risk=-0.5, day_fit=_MORNING, nouns=("Coffee", "Espresso", "Roasters", "Bakehouse")),
    Segment("restaurant", ("5812", "5813"),
            merchants=2.2, demand=1.3, online=0.0, median_eur=26, spread=0.6, male_lean=0.05, refunds=0.002,
            risk=-0.3, day_fit=_EVENING, nouns=("Kitchen", "Bistro", "Table", "Tavern")),
    Segment("fuel", ("5541", "5542"),
            merchants=0.3, demand=0.8, online=0.0, median_eur=48, spread=0.4, male_lean=0.3, refunds=0.001,
            risk=0.0, day_fit=_COMMUTING, nouns=("Fuel", "Service Station", "Energy")),
    Segment("pharmacy", ("5912", "5122"),
            merchants=1.0, demand=0.8, online=0.1, median_eur=14, spread=0.6, male_lean=-0.35, refunds=0.006,
            risk=-0.4, day_fit=_DAYTIME, nouns=("Pharmacy", "Chemist", "Apothecary")),
    Segment("fashion", ("5651", "5661", "5691"),
            merchants=1.2, demand=0.9, online=0.5, median_eur=46, spread=0.7, male_lean=-0.5, refunds=0.12,
            risk=0.1, day_fit=_EVENING, nouns=("Wear", "Outfitters", "Threads", "Shoes")),
    Segment("electronics", ("5732", "5734", "5722"),
            merchants=0.5, demand=0.6, online=0.5, median_eur=120, spread=1.0, male_lean=0.35, refunds=0.07,
            risk=0.5, day_fit=_ANYTIME, nouns=("Electronics", "Devices", "Audio")),
    Segment("home", ("5200", "5712", "5719"),
            merchants=1.0, demand=0.5, online=0.3, median_eur=65, spread=0.9, male_lean=-0.1, refunds=0.05,
            risk=0.0, day_fit=_DAYTIME, nouns=("Home", "Interiors", "Hardware")),
    Segment("travel", ("4722", "4511", "7011"),
            merchants=1.0, demand=0.3, online=0.7, median_eur=210, spread=0.8, male_lean=0.05, refunds=0.05,
            risk=0.4, day_fit=_ANYTIME, nouns=("Travel", "Airways", "Hotels", "Tours")),
    Segment("marketplace", ("5311", "5399"),
            merchants=0.4, demand=0.4, online=1.0, median_eur=38, spread=0.8, male_lean=0.0, refunds=0.06,
            risk=0.3, day_fit=_ANYTIME, nouns=("Marketplace", "Bazaar", "Emporium")),
    Segment("gaming", ("5816", "7994", "5945"),
            merchants=0.3, demand=0.7, online=0.9, median_eur=12, spread=0.8, male_lean=0.4, refunds=0.02,
            risk=0.5, day_fit=_EVENING, nouns=("Games", "Arcade", "Play")),
    Segment("digital_goods", ("5815", "5817", "5818"),
            merchants=0.8, demand=0.8, online=1.0, median_eur=9, spread=0.6, male_lean=0.05, refunds=0.015,
            risk=0.6, day_fit=_ANYTIME, nouns=("Streaming", "Apps", "Downloads", "Software")),
)  # fmt: skip

SEGMENT_NAMES = tuple(segment.name for segment in SEGMENTS)

NAME_STEMS = (
    "Alder", "Amber", "Anchor", "Arden", "Aspen", "Aurora", "Beacon", "Birch", "Blue Door", "Bramble",
    "Bridge", "Brook", "Canal", "Cedar", "Cinder", "Clover", "Copper", "Corner", "Crane", "Crescent",
    "Dahlia", "Delta", "Dune", "Eagle", "Echo", "Elm", "Ember", "Falcon", "Fern", "Field", "Flint",
    "Forge", "Fox", "Garnet", "Gate", "Glen", "Golden", "Grove", "Harbour", "Hazel", "Heron", "Hill",
    "Horizon", "Iris", "Ivory", "Ivy", "Jade", "Juniper", "Kestrel", "Kite", "Lake", "Lantern", "Larch",
    "Lark", "Linden", "Lotus", "Maple", "Marble", "Meadow", "Mill", "Mint", "Nova", "Oak", "Olive",
    "Onyx", "Orchard", "Otter", "Pebble", "Pine", "Plaza", "Poppy", "Quarry", "Quill", "Raven",
    "Red Roof", "Reed", "River", "Robin", "Rosewood", "Saffron", "Sage", "Silver", "Sparrow", "Spruce",
    "Station", "Stone", "Summit", "Swan", "Thistle", "Tide", "Tower", "Valley", "Violet", "Walnut",
    "Willow", "Wren",
)  # fmt: skip
