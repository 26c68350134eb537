"""How the peers are timed: as bit-bench times itself, in windows after a warm-up, the median counts."""
import json
import resource
import statistics
import time


def images_per_second(step, images, seconds, warm_up=3, window=2.0):
    """Median rate over windows of about `window` seconds; `step()` handles `images` images."""
    for _ in range(warm_up):
        step()
    rates = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(rates) < 3:
        began, steps = time.monotonic(), 0
        while time.monotonic() - began < window:
            step()
            steps += 1
        rates.append(steps * images / (time.monotonic() - began))
    return statistics.median(rates)


def report(**values):
    """One JSON object, the last line of the output."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**values, "peak_rss_bytes": peak}), flush=True)
