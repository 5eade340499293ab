"""Where the mock flights go: fixed facts for the plan, with block times in minutes."""

from __future__ import annotations

AIRLINES = ("BA", "BR", "KL", "LH", "AF", "IB", "SK", "LX", "AY", "EI")

#: Destinations of departures that do not go to the hub.
DESTINATIONS = {
    "CDG": 75, "FRA": 95, "MAD": 145, "BCN": 130, "DUB": 80, "EDI": 80, "ZRH": 100, "VIE": 135, "CPH": 115,
    "ARN": 150, "OSL": 135, "HEL": 180, "LIS": 165, "FCO": 155, "ATH": 225, "IST": 235, "JFK": 470, "DXB": 420,
}  # fmt: skip
#: Onward destinations from the hub.
ONWARD_DESTINATIONS = {
    "FRA": 65, "MUC": 85, "BER": 80, "HAM": 65, "PRG": 90, "WAW": 115, "BUD": 115, "CPH": 85, "GOT": 95,
    "BLL": 70, "OTP": 160, "ATH": 200,
}  # fmt: skip
BLOCK_TO_HUB = 70
HUB_AIRLINE = "KL"

#: How busy each hour of the day is, relative to the others: a morning and an evening peak.
HOURLY_WEIGHTS = (1, 1, 1, 1, 2, 4, 8, 10, 9, 7, 6, 6, 6, 6, 6, 7, 8, 10, 10, 8, 5, 3, 2, 1)
LEAST_AN_HOUR = 2
