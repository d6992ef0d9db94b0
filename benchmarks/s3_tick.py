"""One tick of the chunker with its log and its lake on S3, against the same on this disk: what the requests cost."""

import os
from statistics import median
from unittest import mock

from benchmarks.results import Result
from benchmarks.scale import QUICK, Scale
from benchmarks.scratch import company_log, lake_settings, scratch_folder
from benchmarks.timing import median_ms, timed
from expectations.s3 import S3Path
from expectations.settings import Settings
from expectations.thresholds import CHUNK_SIZE_ROWS
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import tick_with_retries
from tests.support.s3 import requests_so_far, s3_server

_WARM_UPS = 3


def run(scale: Scale) -> list[Result]:
    """By turns, each with a new chunker, as the sensor does it."""
    import boto3

    log = company_log(QUICK.log_rows)
    with scratch_folder("s3") as folder, s3_server() as aws, mock.patch.dict(os.environ, aws):
        region = {"LocationConstraint": aws["AWS_REGION"]}
        boto3.client("s3").create_bucket(Bucket="company", CreateBucketConfiguration=region)
        there = S3Path("company", "log.csv")
        there.upload(log)
        local, remote = lake_settings(log, folder / "lake"), lake_settings(there, S3Path("company", "lake"))
        ours, baseline, requests = [], [], []
        for _ in range(_WARM_UPS + scale.ticks):
            baseline.append(timed(lambda: _tick(local))[0])
            before = requests_so_far(aws)
            ours.append(timed(lambda: _tick(remote))[0])
            requests.append(requests_so_far(aws) - before)
    return [
        Result(
            what=f"one tick of {CHUNK_SIZE_ROWS:,} rows on an S3 of this machine; "
            f"median of {scale.ticks} after {_WARM_UPS}",
            unit="ms",
            ours=median(ours[_WARM_UPS:]) * 1000,
            baseline=median(baseline[_WARM_UPS:]) * 1000,
            baseline_name="the same tick on this machine's disk, every other one",
            details={
                "requests per tick, median": median(requests[_WARM_UPS:]),
                "what one costs here, ms": round(
                    (median_ms(ours[_WARM_UPS:]) - median_ms(baseline[_WARM_UPS:])) / median(requests[_WARM_UPS:]), 1
                ),
                "slowest tick on S3, ms": round(max(ours[_WARM_UPS:]) * 1000, 1),
                "S3 is": "moto's server, a process in Python beside us",
            },
        )
    ]


def _tick(settings: Settings) -> None:
    chunker = make_chunker(settings)
    with chunker.alone():
        tick = tick_with_retries(chunker)
    if tick is None or tick.rows != CHUNK_SIZE_ROWS:
        raise ValueError(f"not a whole chunk: {tick}")
