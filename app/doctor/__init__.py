"""The doctor: what Clew's telemetry cannot show, measured, with the remedy. Its front door is `gather.examine`."""
