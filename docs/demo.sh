#!/bin/sh
# What `make demo` runs: a data set of synthetic brains, two networks of the same budget, their table and pictures.
# Each command goes on where an earlier call stopped.
set -eu
bin="${BIN:-.venv/bin}"
train="--data demo/brains.zarr --noise 0.10 --rate 0.30 --n-center 8 --epochs 16 --batch-size 4 --lr 3e-3 --lr-step 6 --lr-gamma 0.4 --channels-last"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. Simulate: 8 procedural heads, 12 slices each, 90 x 108 at 2 mm"
"$bin/mrsim" generate --recipe synthetic-demo --out demo/brains.zarr
"$bin/mrsim" preview demo/brains.zarr --out demo/contact-sheet.png

for model in "seranet --set n_blocks=2 --set width=16 --set reg_width=16" "one-step --set width=16"; do
  run="demo/${model%% *}"
  say "2. Train: $model"
  if [ -e "$run/config.json" ]; then
    "$bin/segnets" train --resume "$run"
  else
    "$bin/segnets" train $model $train --out "$run"
  fi
done

say "3. Evaluate on the two subjects that neither network has seen"
"$bin/segnets" evaluate demo/seranet demo/one-step --out demo/evaluation
say "Look at"
find demo -maxdepth 4 \( -name '*.png' -o -name '*.md' \) | sort
