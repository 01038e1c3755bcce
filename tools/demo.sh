#!/usr/bin/env bash
# The example, from trained weights to a proven design in out/digits.
set -euo pipefail
cd "$(dirname "$0")/.."
example=examples/digits
out=out/digits

run() {
    printf '\n$ cnn2rtl %s\n' "$*"
    .venv/bin/cnn2rtl "$@"
}

rm -rf "$out"
run generate "$example/digits.pt" --arch "$example/model.py:DigitNet" --input 1x8x8 --calib "$example/calib" -o "$out"
run evaluate "$out" --data "$example/images"
run simulate "$out" --engine icarus --images "$example/images" --frames 10

# Only reached if every step ended well, and simulate does only if all values agree.
echo
echo "Proven: in Icarus Verilog, the design gave what the golden model gives for 10 handwritten digits, bit for bit."
echo "The design is in $out: Verilog in $out/rtl, weights in $out/rom."
