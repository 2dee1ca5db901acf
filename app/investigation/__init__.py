"""Alerts, and the ways from an alert to the traces behind it."""
