#!/usr/bin/env bash
# Elaborates every Verilog file of the unit library by itself, as Verilog-2005; a warning is a failure.
set -euo pipefail
cd "$(dirname "$0")/../templates"
said=$(
    for file in units/*.v sim/*.v; do
        iverilog -g2005 -Wall -t null -y units -s "$(basename "$file" .v)" "$file" 2>&1 || echo "$file: failed"
    done
)
[ -z "$said" ] || {
    echo "$said"
    exit 1
}
