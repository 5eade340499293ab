"""The mock airport day: plan, journeys, imperfections, paced publishing (specification section 9)."""
