"""`python -m metric_depth_ros.cli VERB ...`"""

import sys

from metric_depth_ros.cli.main import main

sys.exit(main())
