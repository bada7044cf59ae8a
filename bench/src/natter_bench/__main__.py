"""`python -m natter_bench`."""

import sys

from natter_bench.main import main

sys.exit(main())
