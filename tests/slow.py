"""Slow tests: `make test` leaves them out; `make test-all` and CI run them.

A name is that of a file, a test, or one of a test's parameters, as pytest has it.
"""

from typing import Final

_MANY_PROCESSES: Final = (
    "tests/e2e/test_call_log.py",
    "tests/e2e/test_call_tables.py",
    "tests/e2e/test_calls.py",
    "tests/e2e/test_drain.py",
    "tests/e2e/test_examples.py",
    "tests/e2e/test_export.py",
    "tests/e2e/test_health_command.py",
    "tests/e2e/test_import.py",
    "tests/e2e/test_metrics.py",
    "tests/e2e/test_metrics_of_workers.py",
    "tests/e2e/test_other_languages.py",
    "tests/e2e/test_readme.py",
    "tests/e2e/test_service_manager.py",
    "tests/e2e/test_stopped_worker.py",
    "tests/e2e/test_testing.py",
    "tests/e2e/test_workers.py",
    "tests/e2e/test_workers_ending.py",
    "tests/integration/test_several_processes.py",
    "tests/robustness/test_processes_on_one_file.py",
    "tests/robustness/test_read_your_writes.py",
)

_SEVERAL_DATABASES: Final = (
    "tests/integration/test_log_names.py",
    "tests/integration/test_postgres_faults.py",
    "tests/integration/test_replicas.py",
    "tests/integration/test_shared_cache.py",
    "tests/integration/test_valkey_cache.py",
    (
        "tests/integration/test_rebuild_postgres.py::"
        "test_after_a_failover_meanwhile_the_tables_are_as_they_were_and_it_is_repeated"
    ),
)

_LARGE_FILES: Final = (
    "tests/integration/test_bench_in_process.py",
    "tests/integration/test_copy.py",
    "tests/integration/test_many_due.py",
    "tests/integration/test_migrate_postgres.py",
    "tests/integration/test_own_postgres.py",
    "tests/integration/test_postgres.py",
    "tests/integration/test_postgres_cut_off.py",
    "tests/integration/test_postgres_order.py",
    "tests/integration/test_postgres_roles.py",
    "tests/integration/test_postgres_settings.py",
    "tests/integration/test_verify_postgres.py",
    "tests/integration/test_wide_expiry.py",
    "tests/robustness/test_killed_upgrade.py",
)

_CAMPAIGNS: Final = (
    "tests/robustness/test_access.py",
    "tests/robustness/test_bad_input.py",
    "tests/robustness/test_breaker_under_load.py",
    "tests/robustness/test_drain_under_load.py",
    "tests/robustness/test_every_moment.py",
    "tests/robustness/test_fail_points.py",
    "tests/robustness/test_followers.py",
    "tests/robustness/test_followers_moving.py",
    "tests/robustness/test_full_disk.py",
    "tests/robustness/test_fuzz.py",
    "tests/robustness/test_killed.py",
    "tests/robustness/test_killed_fills.py",
    "tests/robustness/test_killed_walk.py",
    "tests/robustness/test_one_order.py",
    "tests/robustness/test_overload.py",
    "tests/robustness/test_postgres_lock_holders.py",
    "tests/robustness/test_power_cut.py",
    (
        "tests/robustness/test_repeats.py::"
        "test_a_request_repeated_in_any_way_is_done_once_and_answered_alike"
    ),
    "tests/robustness/test_servers_on_postgres.py",
    (
        "tests/robustness/test_simulation.py::"
        "test_under_any_faults_the_promises_hold_and_the_service_recovers"
    ),
    (
        "tests/robustness/test_simulation.py::"
        "test_it_is_the_same_story_in_another_process_that_hashes_otherwise"
    ),
    "tests/robustness/test_wall_clock_steps.py",
)

_MANY_CASES: Final = (
    "tests/e2e/test_concurrent_demand.py",
    "tests/integration/test_bounded_reads.py",
    "tests/integration/test_failed_syncs.py",
    "tests/integration/test_storage_errors.py",
    "tests/property/test_amending.py",
    "tests/property/test_fences.py",
    "tests/property/test_late_fills.py",
    "tests/property/test_lists.py",
    "tests/property/test_plain_requests.py",
    "tests/property/test_promises.py",
    "tests/property/test_stock_answers.py",
    "tests/robustness/test_bad_bulk.py",
    "tests/robustness/test_bit_flips.py",
    "tests/robustness/test_scopes.py",
)

_LONG_WAITS: Final = (
    "tests/robustness/test_cancellation.py",
    "tests/robustness/test_drain_in_trouble.py",
    "tests/robustness/test_http2_floods.py",
    "tests/robustness/test_log_forging.py",
    "tests/robustness/test_log_without_reader.py",
    (
        "tests/e2e/test_bulk.py::"
        "test_of_who_reads_nothing_little_is_taken_in_and_who_reads_late_misses_nothing"
    ),
    "tests/robustness/test_raw_http2.py",
    "tests/robustness/test_stalled_readers.py",
    "tests/robustness/test_sync_before_answer.py",
)

SLOW: Final = frozenset(
    (
        *_MANY_PROCESSES,
        *_SEVERAL_DATABASES,
        *_LARGE_FILES,
        *_CAMPAIGNS,
        *_MANY_CASES,
        *_LONG_WAITS,
    )
)
