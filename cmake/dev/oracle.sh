# The venv of tests/oracle and benchmarks/: build/oracle-venv.

# Filled from a pinned list; the wheel of build/deps is linked in as torch. Complete when its copy of the list is there.
ensure_oracles() {
  local venv=build/oracle-venv list=tests/oracle/requirements.txt packages name
  if cmp -s "$list" "$venv/requirements.txt"; then
    echo "the packages of $list are in $venv"
    return
  fi
  BIT_LIBTORCH='' ensure_libtorch
  need_space "$kOracleBytes" "the venv of the oracles"
  rm -rf "$venv"
  python -m venv "$venv"
  echo "installing $(grep -c == "$list") packages into $venv (about 2.5 GB to download, 5 GB unpacked)"
  logged oracle-venv.log "$venv/bin/python" -m pip install --no-deps --no-compile --no-cache-dir --progress-bar off \
    --disable-pip-version-check -r "$list" ||
    fail "pip could not fill $venv" "check the network and pip's settings (pip config list)"
  packages=$(echo "$venv"/lib/python3.*/site-packages)
  for name in torch torchgen functorch "torch-$kTorchVersion.dist-info"; do
    ln -s "$PWD/build/deps/torch-$kTorchVersion/$name" "$packages/$name"
  done
  "$venv/bin/python" -c 'import torch, timm' 2>build/log/oracle-import.log ||
    fail "the oracles do not start: $(tail -n 1 build/log/oracle-import.log)" "rm -r $venv, then the same command again"
  cp "$list" "$venv/requirements.txt"
}
