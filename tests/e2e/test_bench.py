"""The benches run and report in the promised shape. How fast anything is, is not asserted here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_receive_prints_one_json_object_and_loses_no_message() -> None:
    done = bench("receive", "--json", "--runs", "1", "--messages", "500")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == ["name", "figures", "ratios", "targets", "machine"]
    assert result["name"] == "receive"
    assert result["figures"]["trades_tapewire_batches_messages_per_cpu_second"] > 0
    assert result["figures"]["slow_messages_per_cpu_second"] > 0
    assert result["ratios"]["quotes_tapewire_conflating_to_alorpy_way"] > 0
    assert result["ratios"]["books_tapewire_iterator_to_bare"] > 0
    assert set(map(type, result["targets"].values())) == {bool}
    assert result["machine"]["python"]


def test_journal_prints_one_json_object_and_leaves_no_file() -> None:
    before = sorted(ROOT.iterdir())
    done = bench("journal", "--json", "--runs", "1", "--messages", "20")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["name"] == "journal"
    assert result["figures"]["replayed_entries"] == 20
    assert result["figures"]["in_flight_64_records_per_sync"] > 1
    assert result["ratios"]["in_flight_64_to_bare"] > 0
    assert sorted(ROOT.iterdir()) == before


def test_matching_gives_all_engines_the_same_orders_and_finds_the_same_trades() -> None:
    done = bench("matching", "--json", "--runs", "1", "--messages", "2000")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["figures"]["resting_500_trades"] > 100
    assert result["figures"]["resting_20000_accounts_orders_per_cpu_second"] > 0
    assert result["ratios"]["resting_500_accounts_to_lightmatchingengine"] > 0


def test_recovery_leads_to_one_state_in_both_ways() -> None:
    done = bench("recovery", "--json", "--runs", "1", "--messages", "1000")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["targets"]["the state hashes are the same"] is True
    assert result["figures"]["orders_working"] > 100


def test_orders_are_journaled_and_leave_no_file() -> None:
    before = sorted(ROOT.iterdir())
    done = bench("orders", "--json", "--runs", "1", "--messages", "10")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["figures"]["in_flight_64_records_per_sync"] > 1
    assert result["ratios"]["in_flight_1_p50_to_bare"] > 0
    assert sorted(ROOT.iterdir()) == before


def test_an_unknown_bench_is_one_clear_line_and_status_2() -> None:
    done = bench("nonsense")

    assert done.returncode == 2
    assert done.stdout == ""
    names = ("receive", "latency", "restore", "footprint", "join", "fanout", "http", "subscriptions", "matching")
    names += ("journal", "orders", "recovery", "all", "list")
    assert done.stderr == f"no bench 'nonsense'; there are: {', '.join(names)}\n"


def test_restore_brings_every_stream_back_and_loses_nothing_in_silence() -> None:
    done = bench("restore", "--json", "--runs", "1", "--messages", "10")

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert figures["of_5000_streams"] == 10
    assert figures["of_5000_gaps_filled"] == 10
    assert figures["of_40000_without_state"] == 0
    assert figures["of_40000_trades_lost_silently"] == 0


def test_latency_sees_every_trade_and_every_echo() -> None:
    done = bench("latency", "--json", "--runs", "1", "--messages", "100")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["figures"]["at_1000_p50_us"] > 0
    assert result["ratios"]["at_10000_p50_to_half_echo"] > 0


def test_footprint_compares_two_imports_and_leaves_no_file() -> None:
    before = sorted(ROOT.iterdir())
    done = bench("footprint", "--json", "--runs", "1")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ratios"]["cpu_time_to_libraries"] > 0
    assert sorted(ROOT.iterdir()) == before


def test_list_names_every_bench() -> None:
    done = bench("list")

    assert done.returncode == 0
    assert done.stdout.startswith("receive ")


def test_http_compares_equal_answers_and_watches_a_feed() -> None:
    done = bench("http", "--json", "--runs", "1", "--messages", "8")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ratios"]["bars_gateway_to_starlette_encoding"] > 0
    assert result["figures"]["feed_samples_during"] > 0
    assert result["figures"]["feed_cuts"] == 0
