"""The commands of `tickgate redis` behind a real worker, on a real Kafka and a real Redis."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench import reference, workload
from bench.kafka_flow import producer, put
from bench.kafka_ground import Place, import_strategies, make_topics, run_tickgate
from bench.kafka_worker import drain
from bench.redis_server import RedisServer
from tests.kafka.conftest import broker, real_broker, session_broker
from tests.kafka.shared_broker import SharedBroker
from tests.views.redis.market import in_redis
from tests.worker.conftest import a_place

__all__ = ["broker", "real_broker", "session_broker"]
