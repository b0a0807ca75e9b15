"""A pytest plugin for the suite, which edits none of its tests.

- Every test makes its buckets under a prefix of its own. The suite has one prefix for all, and empties all its buckets before each
  test; so one bucket that can't be emptied (object lock) would fail every test after it.
- Workers share the tests: TALLY_WORKER "1/4" runs every fourth.
- Tells which tests AWS passes, as far as the suite says.
"""
import os


def pytest_sessionstart(session):
    from s3tests import functional

    def take_a_new_prefix():
        functional.prefix = functional.choose_bucket_prefix("tally-{random}-")

    def remove_buckets():
        for client in (functional.get_client(), functional.get_alt_client(), functional.get_tenant_client()):
            try:
                functional.nuke_prefixed_buckets(functional.prefix, client)
            except Exception as error:
                print("left behind:", error)

    functional.setup = take_a_new_prefix
    functional.teardown = remove_buckets


def pytest_collection_modifyitems(items):
    worker, workers = map(int, os.environ.get("TALLY_WORKER", "0/1").split("/"))
    items[:] = items[worker::workers]
    for item in items:
        fails_on_aws = any(item.get_closest_marker(name) for name in ("fails_on_aws", "bucket_logging"))
        item.user_properties.append(("passes on AWS", "no" if fails_on_aws else "yes"))
