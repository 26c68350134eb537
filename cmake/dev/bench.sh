# ./dev bench [SHARDS [SPLIT]]: bit-bench and its peers in turns, so that a noisy machine is noisy for both.
. cmake/dev/oracle.sh
. cmake/dev/quickstart.sh

readonly kRounds=3 kSeconds=15

# rate QUANTITY COMMAND...: the last "QUANTITY_per_second" in the last line of a program's output.
rate() {
  local quantity=$1
  shift
  "$@" 2>>build/log/bench.log | tail -n 1 | sed -n "s/.*\"${quantity}_per_second\": *\([0-9.e+]*\).*/\1/p"
}

# compare WHAT PEER [QUANTITY]: runs the commands in the arrays ours and theirs by turns and prints medians and their ratio.
compare() {
  local round a b mine=() peer=() quantity=${3:-images}
  for ((round = 0; round < kRounds; ++round)); do
    a=$(rate "$quantity" "${ours[@]}")
    b=$(rate "$quantity" "${theirs[@]}")
    [[ -n $a && -n $b ]] || fail "a measurement of $1 gave no number" "see build/log/bench.log"
    printf '  round %d: %.5g and %.5g %s/s\n' $((round + 1)) "$a" "$b" "$quantity"
    mine+=("$a")
    peer+=("$b")
  done
  a=$(printf '%s\n' "${mine[@]}" | sort -g | sed -n "$((kRounds / 2 + 1))p")
  b=$(printf '%s\n' "${peer[@]}" | sort -g | sed -n "$((kRounds / 2 + 1))p")
  awk -v what="$1" -v peer="$2" -v a="$a" -v b="$b" -v unit="$quantity/s" \
    'BEGIN {printf "%s: %.5g %s, %s %.5g %s, ratio %.2f\n", what, a, unit, peer, b, unit, a / b}'
}

# All of docs/performance.md needs more data and more time; this is its part for any shards.
bench_loader() {
  python benchmarks/peers/compare.py --prepared "$1" --split "$2" --threads "$(nproc)" --repeats "$kRounds" --seconds 4 \
    --peers dali-antialias,dali-accurate,tfdata-antialias,tfdata-plain 2>>build/log/bench.log ||
    fail "the loaders could not be compared" "see build/log/bench.log"
}

# One thread, from the page cache that the first pass fills; ours and tf.data verify checksums, DALI does not.
bench_records() {
  ours=(build/release/bin/bit-bench records --data "$1" --split "$2" --threads 1 --seconds "$kSeconds")
  theirs=(build/oracle-venv/bin/python benchmarks/peers/records_tfdata.py --data "$1" --split "$2" --seconds "$kSeconds")
  compare "records, 1 thread" "tf.data" bytes
  theirs=(build/oracle-venv/bin/python benchmarks/peers/records_dali.py --data "$1" --split "$2" --seconds "$kSeconds")
  compare "records, 1 thread" "DALI (no checksums)" bytes
}

# A part of docs/performance.md again: one network, and timm in the configurations that are usually its fastest.
bench_step() {
  python benchmarks/peers/compare_step.py --settings R50x1:16:128 --timm eager-channels-last,compiled-channels-last \
    --threads "$(($(nproc) < 2 ? 1 : 2))" --repeats "$kRounds" --seconds 10 --no-memory 2>>build/log/bench.log ||
    fail "the training steps could not be compared" "see build/log/bench.log"
}

bench_first_step() {
  python benchmarks/peers/first_step.py --data "$1" --split "$2" --repeats "$kRounds" 2>>build/log/bench.log ||
    fail "the first steps could not be compared" "see build/log/bench.log"
}

run_bench() {
  local shards=${1:-$kShards} split=${2:-train}
  build_programs bit-shard bit-bench bit-launch
  step "Oracles" ensure_oracles
  if [[ $shards == "$kShards" ]]; then
    step "Photographs" unpack_images
    step "Shards" write_shards
  fi
  step "Records: bit-bench records, tf.data and DALI" bench_records "$shards" "$split"
  step "Input: bit-bench loader, tf.data and DALI" bench_loader "$shards" "$split"
  step "Training step: bit-bench step and timm" bench_step
  step "First step: bit-launch, and torchrun with DDP" bench_first_step "$shards" "$split"
}
