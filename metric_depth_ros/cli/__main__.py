"""`python -m metric_depth_ros.cli VERB ...`."""

import sys

try:
    from metric_depth_ros.cli.main import main
except KeyboardInterrupt:
    sys.exit(130)

sys.exit(main())
