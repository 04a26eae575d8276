"""Health of a node: status, missing inputs and retries. No ROS is imported here."""
