"""The names of the three jobs, as Flink shows them (specification section 6)."""

BAG_LATEST = "BagLatest"
FLIGHT_KPI_ALERT = "FlightKpiAlert"
ITINERARY_STATUS = "ItineraryStatus"

JOB_NAMES = (BAG_LATEST, FLIGHT_KPI_ALERT, ITINERARY_STATUS)
