"""What changes as the log grows, and the number of stocks with it?

One file is filled over `ExecuteStream`, one stock to ten events, up to a million stocks. At
each size everything is measured beside an echo of the same moment, so that the
neighbours of this machine do not pass for growth.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.bench.catch_up import catch_up
from scripts.bench.figures import Comparison, Group, Sample, Series
from scripts.bench.goods import Cart, Stock, like_real
from scripts.bench.load import drive
from scripts.bench.measuring import BATCH, Bench, Case, fill, head, recorded
from scripts.bench.servers import Server, inventory_server
from scripts.bench.traffic import GET_STOCK, Checkout, Shop, echoed
