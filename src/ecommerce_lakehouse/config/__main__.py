"""`python -m ecommerce_lakehouse.config --validate`."""

import sys

from ecommerce_lakehouse.config.validate import main

sys.exit(main())
