"""The gateway's side of leases: finding workers with room, confirming, beating, noticing loss."""
