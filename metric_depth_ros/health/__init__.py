"""What a node knows of itself and of its inputs. No ROS is imported here."""
