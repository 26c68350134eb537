# ./dev quickstart: the whole job in small, on real photographs: shards, training on two ranks, a stop half-way, the same
# command again, test accuracy.

readonly kImages=data/clothing-72 kShards=data/clothing-shards
readonly kRun=runs/quickstart kConfig=configs/quickstart.yaml
readonly kGoalPercent=60  # test top-1 that a healthy run passes

unpack_images() {
  if [[ -d $kImages/train && -d $kImages/validation && -d $kImages/test ]]; then
    echo "the photographs are in $kImages"
    return
  fi
  rm -rf data/unpacking "$kImages"
  mkdir -p data/unpacking
  tar -xf examples/clothing-72.tar -C data/unpacking ||
    fail "examples/clothing-72.tar could not be unpacked" "is it complete? git status shows a damaged file"
  mv data/unpacking/clothing-72 "$kImages"
  rmdir data/unpacking
  echo "unpacked $(find "$kImages" -name '*.jpg' | wc -l) photographs into $kImages (CC0, examples/clothing-72.LICENSE.md)"
}

write_shards() {
  local split
  for split in train validation test; do
    if build/release/bin/bit-shard verify "$kShards" --split "$split" >/dev/null 2>&1; then
      echo "$kShards has the split $split, and it is whole"
    else
      build/release/bin/bit-shard convert --input "$kImages/$split" --output "$kShards" --name clothing \
        --split "$split" --overwrite
    fi
  done
}

# The number after "key": in the last line of metrics.jsonl that holds $1; empty when there is none.
last_metric() {
  [[ -e $kRun/metrics.jsonl ]] || return 0
  grep -F "$1" "$kRun/metrics.jsonl" | tail -n 1 | sed -n "s/.*\"$2\":\([-+.0-9eE]*\).*/\1/p" || true
}

is_complete() {
  [[ -e $kRun/metrics.jsonl && -e $kRun/model.safetensors ]] &&
    grep -F '"event":"done"' "$kRun/metrics.jsonl" | grep -qF '"reason":"complete"'
}

# Two ranks want two slots; Open MPI counts cores, so machines with one core of two threads need to be told.
launch_words() {
  local words=(mpirun -n 2)
  mpirun -n 2 true >/dev/null 2>&1 || words+=(--oversubscribe)
  printf '%s\n' "${words[@]}" build/release/bin/bit-launch "$kConfig"
}

# Runs the training; with an epoch, asks it to stop there (USR2: checkpoint, exit 75). Returns its exit code.
train() {
  local stop_epoch=${1:-} code=0 epoch pid
  echo "\$ ${launch[*]}"
  "${launch[@]}" &
  pid=$!
  # A script's background programs do not hear Ctrl-C: it is passed on as the signal to checkpoint and stop.
  trap 'kill -USR2 "$pid" 2>/dev/null' INT TERM
  while [[ -n $stop_epoch ]] && kill -0 "$pid" 2>/dev/null; do
    epoch=$(last_metric '"event":"step"' epoch)
    if [[ -n $epoch ]] && ((${epoch%%.*} >= stop_epoch)); then
      echo "--- epoch $epoch: kill -USR2 $pid, as a cluster would before it takes the machines away"
      kill -USR2 "$pid" || true
      stop_epoch=""
    else
      sleep 0.5
    fi
  done
  while true; do
    code=0
    wait "$pid" || code=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  trap - INT TERM
  return "$code"
}

train_with_stop() {
  local code=0 epochs epoch
  mapfile -t launch < <(launch_words)
  epochs=$(sed -n 's/^ *length: *\([0-9]*\)ep.*/\1/p' "$kConfig")
  epoch=$(last_metric '"event":"step"' epoch)
  if [[ -z $epoch ]] || ((${epoch%%.*} < epochs / 2)); then
    train $((epochs / 2)) || code=$?
    ((code == 75)) || fail "the stop half-way ended with exit code $code, not 75" "see above and $kRun/log/rank-0.log"
    echo "--- stopped with exit code 75: the same command goes on where it stopped"
  fi
  code=0
  train || code=$?
  ((code != 75)) || fail "stopped before the end" "./dev quickstart goes on from here"
  ((code == 0)) || fail "training ended with exit code $code" "the reason is above and in $kRun/log/rank-0.log"
}

say_result() {
  local top1 records percent
  top1=$(last_metric '"event":"eval"' top1)
  records=$(last_metric '"event":"eval"' records)
  [[ -n $top1 ]] || fail "$kRun/metrics.jsonl has no evaluation" "mv $kRun $kRun.old, then ./dev quickstart"
  percent=$(awk -v share="$top1" 'BEGIN {printf "%.1f", 100 * share}')
  cat <<TEXT
The run is complete.
  test top-1       $percent % of $records photographs, 10 classes
  run directory    $kRun (weights: model.safetensors)
  time             $SECONDS s for all of ./dev quickstart

Three commands to try next:
  build/release/bin/bit-launch $kConfig --print-config
  mpirun -n 2 build/release/bin/bit-launch $kConfig output=runs/longer schedule.length=10ep 'schedule.drops=[6ep, 9ep]'
  build/release/bin/bit-model inspect $kRun
TEXT
  awk -v share="$top1" -v goal="$kGoalPercent" 'BEGIN {exit !(100 * share >= goal)}' ||
    fail "test top-1 is $percent %, below $kGoalPercent %: something is wrong" "compare $kRun/config.yaml with $kConfig"
}

run_quickstart() {
  build_programs bit-shard bit-launch bit-model
  if is_complete; then
    step "Result of the run in $kRun" say_result
    return
  fi
  step "Photographs" unpack_images
  step "Shards" write_shards
  prepare_mpi
  step "Training, with a stop half-way" train_with_stop
  step "Result" say_result
}
